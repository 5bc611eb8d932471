package attacks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// attacksOnRedis are attacks of a publisher that access control confines to its organization.
func attacksOnRedis() []attack {
	return []attack{{
		name: "bursts of a publisher", run: (*stage).runBursts, check: (*stage).checkBursts,
		redis: []string{ // options of deploy/redis.conf
			"--client-output-buffer-limit", "pubsub 64mb 16mb 30", "--proto-max-bulk-len", "4mb",
			"--maxmemory", "256mb", "--maxmemory-policy", "noeviction",
		},
	}}
}

// neighbours are the organizations without a journal. With the healthy clients and the attacker, there are more than
// twice as many organizations as connections to Redis. So the attacker shares one.
const neighbours = 16

// burstsUntilAlone is the number of bursts until the node must have separated the attacker from the other organizations
// of its connection.
const burstsUntilAlone = 8

// lostLate counts the events that neighbours lost after these bursts.
const lostLate = "lost after the separation"

// runBursts publishes more at once than Redis buffers for a subscriber: by turns a few huge messages and many valid
// ones, in one transaction. Redis closes the connection of each node for this lane.
func (s *stage) runBursts() {
	attacker := events.NewID()
	var all []*neighbour
	for n := range neighbours {
		if n == neighbours/2 { // the connections in front have an organization each, so that this one shares
			go s.mustSubscribe(s.ctx, attacker, events.NewID()).drain() // until the context ends
		}
		all = append(all, s.mustStartNeighbour())
	}
	client := s.confined(attacker)
	defer client.Close()
	lane := "rte:org:" + attacker.String()
	huge := string(state(attacker, events.NewID(), 3<<20))
	valid := string(state(attacker, events.NewID(), 8<<10))
	var separated time.Time
	for n := 0; n < s.of(16, 2) && s.ctx.Err() == nil; n++ {
		if n == burstsUntilAlone {
			separated = time.Now()
		}
		what, message, count := "23 messages of 3 MiB", huge, 23
		if n%2 == 1 {
			what, message, count = "9000 events of 8 KiB", valid, 9000
		}
		_, err := client.TxPipelined(s.ctx, func(p goredis.Pipeliner) error {
			for range count {
				p.Publish(s.ctx, lane, message)
			}
			return nil
		})
		if err != nil && s.ctx.Err() == nil {
			s.t.Errorf("%s: %v", what, err)
		}
		s.send(what, 1)
		pause(s.ctx, 1100*time.Millisecond)
	}
	for _, n := range all {
		n.stop()
		s.answer("events of neighbours", n.published)
		s.answer("of them reported lost", len(n.lost))
		for _, at := range n.lost {
			if s.full && at.After(separated) {
				s.answer(lostLate, 1)
			}
		}
	}
	s.answer("cuts", int(s.srv.Metric("rte_backplane_epochs_total", `reason="lost"`)))
}

// checkBursts checks that Redis cut connections, and that the node separated the attacker from the others.
func (s *stage) checkBursts() {
	if s.answered["cuts"] == 0 {
		s.t.Errorf("Redis cut no connection: %v", s.answered)
	}
	if n := s.answered[lostLate]; s.full && n > 0 {
		s.t.Errorf("neighbours lost %d events after %d bursts", n, burstsUntilAlone)
	}
}

// confined returns a client of Redis that may only publish, and only for one organization.
func (s *stage) confined(organization events.ID) *goredis.Client {
	admin := s.redis.Client()
	defer admin.Close()
	rules := "ACL SETUSER attacker on >attacker resetkeys resetchannels &rte:org:" + organization.String() +
		" -@all +ping +publish +multi +exec"
	var args []any
	for word := range strings.FieldsSeq(rules) {
		args = append(args, word)
	}
	if err := admin.Do(s.ctx, args...).Err(); err != nil {
		s.t.Error(err)
	}
	return goredis.NewClient(&goredis.Options{
		Addr: s.redis.Addr, Username: "attacker", Password: "attacker", Protocol: 2, MaxRetries: -1,
		DisableIdentity: true, ReadTimeout: rtetest.Patience, WriteTimeout: rtetest.Patience,
	})
}

// mustSubscribe connects a client with notices that subscribes to a user until ctx ends.
func (s *stage) mustSubscribe(ctx context.Context, organization, user events.ID) *socket {
	token := rtetest.MustToken(s.t, authz.Claims{Organization: organization, Role: authz.RoleService})
	c, err := dialHub(ctx, s.srv.Host, token, "?features=notices")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.send(subscribe(user)); err != nil {
		s.t.Fatal(err)
	}
	for {
		answer, err := c.read()
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(answer, []byte(`"type":3`)) {
			if !bytes.Contains(answer, []byte(`"subscribed":true`)) {
				s.t.Fatalf("a subscriber got %s", answer)
			}
			return c
		}
	}
}

// neighbour is an organization whose publisher writes no journal (T0 of docs/redis.md), and its client with notices.
type neighbour struct {
	s            *stage
	organization events.ID
	published    int         // the owner reads it after stop
	lost         []time.Time // the same: times of events that did not arrive, and that a Resync reported
	stop         func()

	mu       sync.Mutex
	received map[int]bool // guarded by mu; the numbers of events
	reported []span       // guarded by mu
	ended    error        // guarded by mu
}

// span is a time that a Resync names.
type span struct{ from, to time.Time }

// mustStartNeighbour subscribes and publishes until a call of stop. stop checks that each event came or was reported.
func (s *stage) mustStartNeighbour() *neighbour {
	n := &neighbour{s: s, organization: events.NewID(), received: map[int]bool{}}
	user := events.NewID()
	c := s.mustSubscribe(s.t.Context(), n.organization, user)
	var reader, publisher sync.WaitGroup
	reader.Go(func() { n.receive(c) })
	publishing, end := context.WithCancel(s.ctx)
	var times []time.Time
	publisher.Go(func() { times = n.publish(publishing, user) })
	n.stop = func() {
		end()
		publisher.Wait()
		n.published = len(times)
		deadline := time.Now().Add(rtetest.Patience)
		for n.unexplained(times) > 0 && time.Now().Before(deadline) {
			pause(s.t.Context(), 20*time.Millisecond)
		}
		if missing := n.unexplained(times); missing > 0 {
			s.t.Errorf("of %d events of a neighbour %d neither came nor were reported", len(times), missing)
		}
		c.conn.Close()
		reader.Wait()
	}
	return n
}

// publish publishes an event in every interval and returns their times.
func (n *neighbour) publish(ctx context.Context, user events.ID) (times []time.Time) {
	client := n.s.redis.Client()
	defer client.Close()
	for ctx.Err() == nil {
		data := fmt.Appendf(nil, `{"OrganizationId":%q,"EventType":"UserStatus","EntityType":"User","EntityId":%q,`+
			`"MessageTTLSeconds":600,"Id":%q,"Number":%d}`, n.organization, user, events.NewID(), len(times))
		now := time.Now()
		if err := client.Publish(context.WithoutCancel(ctx), "rte:org:"+n.organization.String(), data).Err(); err != nil {
			n.s.t.Error(err)
			break
		}
		times = append(times, now)
		pause(ctx, interval)
	}
	return times
}

// receive notes events and reports.
func (n *neighbour) receive(c *socket) {
	for {
		payload, err := c.read()
		n.mu.Lock()
		if err != nil {
			n.ended = err
			n.mu.Unlock()
			return
		}
		for message := range bytes.SplitSeq(payload, []byte{0x1e}) {
			var call struct {
				Target    string
				Arguments []struct{ From, To *time.Time }
			}
			if number, ok := numberAfter(message, `"number":`); ok {
				n.received[number] = true
			} else if json.Unmarshal(message, &call) == nil && call.Target == "Resync" && len(call.Arguments) == 1 {
				n.reported = append(n.reported, newSpan(call.Arguments[0].From, call.Arguments[0].To))
			}
		}
		n.mu.Unlock()
	}
}

// newSpan returns a span. An end that the Resync does not know is open.
func newSpan(from, to *time.Time) span {
	all := span{to: time.Now()}
	if from != nil {
		all.from = *from
	}
	if to != nil {
		all.to = *to
	}
	return all
}

// unexplained returns the number of events that neither came nor were reported, and updates lost.
func (n *neighbour) unexplained(published []time.Time) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = nil
	if n.ended != nil {
		n.s.t.Errorf("the connection of a neighbour ended: %v", n.ended)
		return 0
	}
	for number, at := range published {
		if n.received[number] {
			continue
		}
		n.lost = append(n.lost, at)
		explained := false
		for _, r := range n.reported {
			explained = explained || !at.Before(r.from.Add(-time.Millisecond)) && !at.After(r.to.Add(time.Millisecond))
		}
		if !explained {
			count++
		}
	}
	return count
}
