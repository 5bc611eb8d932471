package attacks

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// clientsOfOrganization and interval describe the healthy clients: so many of each organization, which all receive an
// event of it in every interval.
const (
	clientsOfOrganization = 6
	interval              = 20 * time.Millisecond
)

// crowd is the healthy clients of one organization and their publisher.
type crowd struct {
	t            *testing.T
	organization events.ID
	user         events.ID // the entity of all events

	mu        sync.Mutex
	latencies []time.Duration // of every delivery; guarded by mu
	ended     []error         // of connections that ended; guarded by mu
	received  []map[int]bool  // by client, the numbers of its events; guarded by mu
	published int             // guarded by mu
	failed    int             // publications that Redis refused; guarded by mu
}

// mustStartCrowd connects the clients and publishes until endPublishing is called. stop then waits for what is missing,
// and ends the clients.
func mustStartCrowd(
	ctx context.Context, t *testing.T, host string, redis *rtetest.Redis, organization, user events.ID,
) (c *crowd, endPublishing, stop func()) {
	t.Helper()
	c = &crowd{t: t, organization: organization, user: user}
	ctx, cancel := context.WithCancel(ctx)
	publishing, endPublishing := context.WithCancel(ctx)
	var clients, publisher sync.WaitGroup
	for n := range clientsOfOrganization {
		token := rtetest.MustToken(t, authz.Claims{Organization: organization, Role: authz.RoleService})
		s, err := dialHub(ctx, host, token, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.send(fmt.Sprintf(
			`{"type":1,"invocationId":"s","target":"Subscribe","arguments":[[{"EntityId":%q,"EventName":"UserCallInArrived"}]]}`,
			c.user)); err != nil {
			t.Fatal(err)
		}
		var answer []byte
		for !bytes.Contains(answer, []byte(`"type":3`)) {
			if answer, err = s.read(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Contains(answer, []byte(`"subscribed":true`)) {
			t.Fatalf("a healthy client got %s", answer)
		}
		c.received = append(c.received, map[int]bool{})
		clients.Go(func() { c.receive(ctx, n, s) })
		clients.Go(func() {
			for ctx.Err() == nil {
				_ = s.send(`{"type":6}`) // receive reports the end of the connection
				pause(ctx, 5*time.Second)
			}
		})
	}
	client := redis.Client()
	publisher.Go(func() { c.publish(publishing, client) })
	return c, endPublishing, func() {
		publisher.Wait()
		deadline := time.Now().Add(rtetest.Patience)
		for c.missing() > 0 && time.Now().Before(deadline) {
			pause(ctx, 20*time.Millisecond)
		}
		cancel()
		clients.Wait()
		client.Close()
	}
}

// publish publishes an event with a journal entry (T1 of docs/redis.md) in every interval.
func (c *crowd) publish(ctx context.Context, client *goredis.Client) {
	lane := "rte:org:" + c.organization.String()
	journal := "rte:j:{" + lane + "}"
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		number := c.published
		c.mu.Unlock()
		data := fmt.Appendf(nil, `{"OrganizationId":%q,"EventType":"UserCallInArrived","EntityType":"User","EntityId":%q,`+
			`"MessageTTLSeconds":-1,"Id":%q,"Number":%d,"SentAt":%d}`,
			c.organization, c.user, events.NewID(), number, time.Now().UnixNano())
		// The event counts only if Redis has it: an interrupted call would leave that open.
		_, err := client.TxPipelined(context.WithoutCancel(ctx), func(p goredis.Pipeliner) error {
			p.XAdd(ctx, &goredis.XAddArgs{Stream: journal, MaxLen: 5000, Approx: true, Values: []any{"d", data}})
			p.Publish(ctx, lane, data)
			return nil
		})
		c.mu.Lock()
		if err != nil {
			c.failed++
		} else {
			c.published++
		}
		c.mu.Unlock()
	}
}

// receive notes the deliveries to a client.
func (c *crowd) receive(ctx context.Context, client int, s *socket) {
	for {
		payload, err := s.read()
		now := time.Now().UnixNano()
		c.mu.Lock()
		if err != nil {
			if ctx.Err() == nil {
				c.ended = append(c.ended, err)
			}
			c.mu.Unlock()
			return
		}
		for message := range bytes.SplitSeq(payload, []byte{0x1e}) {
			if bytes.Contains(message, []byte(`"type":7`)) {
				c.ended = append(c.ended, fmt.Errorf("client %d: %s", client, message))
			}
			sent, isEvent := numberAfter(message, `"sentAt":`)
			if !isEvent {
				continue
			}
			number, _ := numberAfter(message, `"number":`)
			if !c.received[client][number] {
				c.latencies = append(c.latencies, time.Duration(now-int64(sent)))
			}
			c.received[client][number] = true
		}
		c.mu.Unlock()
	}
}

// numberAfter returns the number after a text.
func numberAfter(message []byte, text string) (n int, ok bool) {
	_, after, ok := bytes.Cut(message, []byte(text))
	if !ok {
		return 0, false
	}
	end := bytes.IndexAny(after, ",}")
	if end < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(after[:end]))
	return n, err == nil
}

// missing returns the number of events that clients have not received.
func (c *crowd) missing() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, received := range c.received {
		n += c.published - len(received)
	}
	return n
}

// take returns the latencies of the deliveries since the last call.
func (c *crowd) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.latencies
	c.latencies = nil
	return taken
}

// p99 returns the 99th percentile.
func p99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return math.MaxInt64
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*99/100)]
}
