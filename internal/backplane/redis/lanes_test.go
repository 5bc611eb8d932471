package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// The answer to one SUBSCRIBE with all lanes would exceed what Redis buffers for a subscriber.
func TestFault_connectionKilledWithManyLanes(t *testing.T) {
	count := 60_000
	if rtetest.RaceEnabled {
		count = 20_000
	}
	manyLanes(t, count)
}

// manyLanes subscribes many lanes, with Redis' own limits, and again after the connection was lost.
func manyLanes(t *testing.T, count int) {
	t.Helper()
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	topics := make([]events.Topic, count)
	for i := range topics {
		topics[i] = backplanetest.Topic(events.NewID(), events.NewID())
	}
	started := time.Now()
	b, sink, metrics := mustNode(t, redis.Options{Addresses: []string{server.Addr}, ConfirmTimeout: rtetest.Patience})
	for rest := topics; len(rest) > 0; {
		n := min(10_000, len(rest))
		backplanetest.MustAcquire(t, b, rest[:n]...)
		rest = rest[n:]
	}
	t.Logf("%d lanes subscribed in %s", count, time.Since(started).Round(time.Millisecond))
	heap := memory()
	if err := client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatalf("client kill: %v", err)
	}
	started = time.Now()
	waitFor(t, "the loss is noticed", func() bool { return !b.Health().Connected })
	waitValue(t, metrics, "rte_backplane_lanes", "confirmed", float64(count))
	confirmed := time.Since(started)
	waitHealth(t, b, true)
	t.Logf("and again in %s, healthy after %s; %d bytes of memory per lane before, %d after",
		confirmed.Round(time.Millisecond),
		time.Since(started).Round(time.Millisecond), heap/uint64(count), memory()/uint64(count))
	for i := range 100 {
		topic := topics[i*count/100]
		lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
		if err := client.Publish(t.Context(), lane, backplanetest.NewEvent(topic, 1).JSON()).Err(); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	sink.Wait(t, 100)
	// A connection that exceeds the buffers of Redis is lost again; a busy machine may end others.
	if lost := (&rigNode{metrics: metrics}).value(t, "rte_backplane_epochs_total", "lost"); lost != 9 {
		t.Errorf("%.0f connections were lost, want the 9 that were killed", lost)
	}
}

// memory returns the heap in use after a collection.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The cost of a node depends on what its subscribers want, not on what else is published.
func TestBackplane_costFollowsInterest(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	b, sink, metrics := mustNode(t, patient(server.Addr))
	var wanted []events.Topic
	for range 10 {
		wanted = append(wanted, backplanetest.Topic(events.NewID(), events.NewID()))
	}
	backplanetest.MustAcquire(t, b, wanted...)
	round := func(number int, topics []events.Topic) {
		t.Helper()
		for _, topic := range topics {
			lane := backplane.Layout{}.Lane(topic.Organization, topic.Entity)
			text := string(backplanetest.NewEvent(topic, number).JSON())
			if err := client.Publish(t.Context(), lane, text).Err(); err != nil {
				t.Fatalf("publish: %v", err)
			}
		}
	}
	// Redis itself publishes to 10,000 lanes that this node does not want.
	const others = `for i = 1, 10000 do
		redis.call('PUBLISH', 'rte:org:' .. string.format('%08x', i) .. '-0000-0000-0000-000000000000', ARGV[1])
	end
	return 0`
	for number := range 5 {
		round(number, wanted)
		text := string(backplanetest.NewEvent(wanted[0], number).JSON())
		if err := client.Eval(t.Context(), others, nil, text).Err(); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	round(5, wanted)
	sink.Wait(t, 60)
	if got := (&rigNode{metrics: metrics}).value(t, "rte_backplane_received_total"); got != 60 {
		t.Errorf("the node read %.0f messages of lanes; 60 were for it, of 50,060", got)
	}
}

// choosy is a Sink that wants one topic.
type choosy struct {
	*backplanetest.Recorder
	wanted events.Topic
}

func (c choosy) Wants(topic events.Topic) bool { return topic == c.wanted }

// An unwanted event is read only as far as the lane needs; states are kept in any case.
func TestBackplane_skimsUnwantedEvents(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	client := server.Client()
	defer client.Close()
	wanted := backplanetest.Topic(events.NewID(), events.NewID())
	wanted.Type = events.UserCallInArrived
	unwanted, state := wanted, wanted
	unwanted.Entity, state.Type = events.NewID(), events.UserStatus
	o, sink := patient(server.Addr), choosy{backplanetest.NewRecorder(), wanted}
	metrics := prometheus.NewRegistry()
	o.Catalog, o.Sink, o.Registerer = events.Builtin(), sink, metrics
	o.Decoder = events.NewIngress(events.IngressOptions{Catalog: o.Catalog, Validation: events.ValidateOff})
	b := mustRun(t, o)
	waitHealth(t, b, true)
	backplanetest.MustAcquire(t, b, wanted, unwanted, state)
	broken := strings.TrimSuffix(string(backplanetest.NewEvent(unwanted, 0).JSON()), "}")
	again := backplanetest.NewEvent(wanted, 2)
	for _, text := range []string{
		broken, string(backplanetest.NewEvent(state, 1).JSON()), string(again.JSON()), string(again.JSON()),
		string(backplanetest.NewEvent(wanted, 3).JSON()),
	} {
		if err := client.Publish(
			t.Context(), backplane.Layout{}.Lane(wanted.Organization, wanted.Entity), text,
		).Err(); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	sink.WaitTopic(t, wanted, 2)
	if n := sink.Count(); n != 2 {
		t.Errorf("%d events were dispatched, want the 2 that are wanted", n)
	}
	var states int
	err := b.Snapshot(
		t.Context(), []events.Topic{state}, func(_ []events.Topic, last []*events.Event) { states = len(last) },
	)
	if err != nil || states != 1 {
		t.Errorf("%d states, %v; want 1", states, err)
	}
	node := &rigNode{metrics: metrics}
	if got := node.value(t, "rte_backplane_received_total"); got != 5 {
		t.Errorf("%.0f messages arrived, want 5", got)
	}
	if got := node.value(t, "rte_backplane_refused_total"); got != 0 {
		t.Errorf("%.0f were refused, though their topics are not wanted", got)
	}
}

// audience is a Sink with clients that come and go.
type audience struct {
	mu      sync.Mutex
	clients map[events.Topic]map[*client]struct{} // guarded by mu
}

// client subscribes one topic at a time.
type client struct {
	// Guarded by audience.mu.
	got    []int         // the numbers of the events since it subscribed
	wanted int           // the number that a goroutine waits for
	came   chan struct{} // closed when that number or a later one has come; nil: no goroutine waits
}

func (*audience) Wants(events.Topic) bool { return true }

func (a *audience) Offer(ev *events.Event) bool {
	a.Dispatch(ev)
	return true
}

func (a *audience) Dispatch(ev *events.Event) {
	number := backplanetest.Number(ev.Data)
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.clients[ev.Topic] {
		c.got = append(c.got, number)
		if c.came != nil && number >= c.wanted {
			close(c.came)
			c.came = nil
		}
	}
}

func (a *audience) join(topic events.Topic, c *client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clients[topic] == nil {
		a.clients[topic] = map[*client]struct{}{}
	}
	c.got, c.came = nil, nil
	a.clients[topic][c] = struct{}{}
}

func (a *audience) leave(topic events.Topic, c *client) (got []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.clients[topic], c)
	return c.got
}

// wait waits until a client has received that number or a later one, with a deadline.
func (a *audience) wait(c *client, number int) {
	a.mu.Lock()
	if n := len(c.got); n > 0 && c.got[n-1] >= number {
		a.mu.Unlock()
		return
	}
	came := make(chan struct{})
	c.wanted, c.came = number, came
	a.mu.Unlock()
	select {
	case <-came:
	case <-time.After(rtetest.Patience):
	}
}

// programme is what is published on a topic: the numbers 0, 1, 2...
type programme struct {
	topic events.Topic
	begun atomic.Int64 // how many may have been published
	acked atomic.Int64 // how many were published
}

// Clients, and lanes with them, come and go all the time. Every event published between the answer to Subscribe and
// the end of the client arrives once and in order.
func TestBackplane_clientsComeAndGo(t *testing.T) {
	const (
		clients    = 1000
		publishers = 2
		rate       = 5000 // events per second, if the machine has time
		span       = 3 * time.Second
	)
	server := rtetest.MustStartRedis(t)
	var programmes []*programme
	for range 200 { // organizations
		organization := events.NewID()
		for range 3 {
			programmes = append(programmes, &programme{topic: backplanetest.Topic(organization, events.NewID())})
		}
	}
	var nodes []*redis.Backplane
	var audiences []*audience
	for range 2 {
		a := &audience{clients: map[events.Topic]map[*client]struct{}{}}
		o := redis.Options{Addresses: []string{server.Addr}, Linger: 20 * time.Millisecond, ConfirmTimeout: rtetest.Patience}
		o.ProbeTimeout, o.CommandTimeout = rtetest.Patience, rtetest.Patience // a busy machine must not end a connection
		o.Catalog, o.Sink = events.Builtin(), a
		b := mustRun(t, o)
		waitHealth(t, b, true)
		nodes, audiences = append(nodes, b), append(audiences, a)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var publishing, listening sync.WaitGroup
	for part := range slices.Chunk(programmes, len(programmes)/publishers) {
		publishing.Go(func() { broadcast(ctx, t, server, part, rate/publishers) })
	}
	var received, visits atomic.Int64
	began := time.Now()
	deadline := began.Add(span)
	for i := range clients {
		listening.Go(func() {
			c := &client{}
			for time.Now().Before(deadline) && !t.Failed() {
				got, err := visit(nodes[i%2], audiences[i%2], c, programmes[rand.IntN(len(programmes))])
				if err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				received.Add(int64(got))
				visits.Add(1)
			}
		})
	}
	listening.Wait()
	stop()
	publishing.Wait()
	total := int64(0)
	for _, p := range programmes {
		total += p.acked.Load()
	}
	reached := float64(total) / time.Since(began).Seconds()
	t.Logf(
		"%d events published, %.0f/s, %d deliveries in %d subscriptions of %d clients", total, reached, received.Load(),
		visits.Load(), clients,
	)
	if received.Load() == 0 {
		t.Error("no event arrived")
	}
}

// visit subscribes for a moment and checks the events.
func visit(b *redis.Backplane, a *audience, c *client, p *programme) (got int, err error) {
	topics := []events.Topic{p.topic}
	if errs := b.Acquire(context.Background(), topics); errs != nil {
		return 0, fmt.Errorf("acquire: %w", errs[0])
	}
	a.join(p.topic, c)
	first := int(p.begun.Load())
	lasts(rand.N(200 * time.Millisecond))
	last := int(p.acked.Load()) - 1
	if first <= last {
		a.wait(c, last)
	}
	numbers := a.leave(p.topic, c)
	b.Release(topics)
	// An event published before the answer may or may not arrive.
	next := first
	for i, number := range numbers {
		switch {
		case i > 0 && number <= numbers[i-1]:
			return 0, fmt.Errorf("event %d came after %d of %v", number, numbers[i-1], numbers)
		case number >= first && number != next:
			return 0, fmt.Errorf("event %d came, %d did not: %v", number, next, numbers)
		case number >= first:
			next++
		}
	}
	if next <= last {
		return 0, fmt.Errorf("events %d to %d were published, and %v came", first, last, numbers)
	}
	return len(numbers), nil
}

// broadcast publishes at a rate until ctx ends, alternating between the function and PUBLISH.
func broadcast(ctx context.Context, t *testing.T, server *rtetest.Redis, programmes []*programme, rate int) {
	connection := server.Client()
	defer connection.Close()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pipe := connection.Pipeline()
		var sent []*programme
		for due := int(time.Since(began).Seconds() * float64(rate)); turn < due; turn++ {
			p := programmes[turn%len(programmes)]
			data := backplanetest.NewEvent(p.topic, int(p.begun.Add(1)-1)).JSON()
			lane := backplane.Layout{}.Lane(p.topic.Organization, p.topic.Entity)
			if turn%2 == 0 {
				pipe.Publish(context.Background(), lane, data)
			} else {
				keys := []string{"rte:j:{" + lane + "}", "rte:n:{" + lane + "}"}
				pipe.FCall(context.Background(), "rte_publish", keys, lane, data, 1000, 0, "PUBLISH")
			}
			sent = append(sent, p)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Errorf("publish: %v", err)
		}
		for _, p := range sent {
			p.acked.Add(1)
		}
	}
}
