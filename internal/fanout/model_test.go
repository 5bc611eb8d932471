package fanout_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// modelClient is a client of TestModel_deliversInOrder: a real outbox beside a simple model of it.
type modelClient struct {
	socket  *socket
	outbox  *fanout.Outbox
	entries map[events.Topic]*fanout.Entry
	ids     map[events.Topic]events.ID
	wants   []string
}

// byTopic groups lines by their second word, the topic. fanout promises the order within a topic.
func byTopic(lines []string) map[string][]string {
	sorted := map[string][]string{}
	for _, l := range lines {
		if l == "ping" {
			continue
		}
		topic := strings.Fields(l)[1]
		sorted[topic] = append(sorted[topic], l)
	}
	return sorted
}

// TestModel_deliversInOrder drives a dispatcher through a long random life and compares the events of each client with
// those that the model predicts.
func TestModel_deliversInOrder(t *testing.T) {
	const steps, topics = 10_000, 12
	for _, seed := range []uint64{1, 2, 3, 4} {
		// Where writes take time, events join passes, and turn queues rest.
		takes := time.Duration(seed%2) * 300 * time.Microsecond
		flush := func() {
			time.Sleep(1000 * takes)
			synctest.Wait()
		}
		options := fanout.Options{
			Shards: 3, Outbox: fanout.OutboxOptions{WriteBytes: 500, Bytes: 1 << 30, Age: 24 * time.Hour},
			Flow: fanout.FlowOptions{Rest: 25 * time.Millisecond},
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			run(t, options, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(seed, 0))
				var clients []*modelClient
				check := func(c *modelClient) {
					c.socket.freeze(-1)
					flush()
					want(t, byTopic(c.socket.lines()), byTopic(c.wants))
					if t.Failed() {
						t.FailNow()
					}
					c.wants = nil
				}
				for step := range steps {
					time.Sleep(time.Duration(random.Int64N(int64(takes) + 1)))
					var c *modelClient
					if len(clients) > 0 {
						c = clients[random.IntN(len(clients))]
					}
					topic := callTopic(random.IntN(topics))
					switch action := random.IntN(20); {
					case c == nil || action == 0 && len(clients) < 30:
						c = &modelClient{
							socket:  newSocket(),
							entries: map[events.Topic]*fanout.Entry{},
							ids:     map[events.Topic]events.ID{},
						}
						c.socket.takes = takes
						c.outbox = r.Open(c.socket, fanout.ProtocolJSON)
						clients = append(clients, c)
					case action == 1:
						check(c)
						var entries []*fanout.Entry
						for _, e := range c.entries {
							entries = append(entries, e)
						}
						c.outbox.Close(nil, entries)
						i := 0
						for clients[i] != c {
							i++
						}
						clients = append(clients[:i], clients[i+1:]...)
					case action < 6 && c.entries[topic] == nil:
						a := c.outbox.Acquire(topic)
						c.entries[topic], c.ids[topic] = a.Entry, a.ID
						frame := fmt.Sprintf("subscribed %d %d", topic.Entity[0], step)
						c.outbox.Apply(fanout.Change{Frame: []byte(frame + "\n"), Add: []fanout.Subscription{a}})
						c.wants = append(c.wants, frame)
					case action < 8 && c.entries[topic] != nil:
						flush() // events under way may be dropped from now on
						c.outbox.Apply(fanout.Change{Remove: []*fanout.Entry{c.entries[topic]}})
						delete(c.entries, topic)
						delete(c.ids, topic)
					case action == 8:
						c.socket.freeze(random.IntN(200))
					case action == 9:
						check(c)
					default:
						r.publish(topic, fmt.Sprint(step))
						for _, c := range clients {
							if id, ok := c.ids[topic]; ok {
								c.wants = append(c.wants, line(id, int(topic.Entity[0]), fmt.Sprint(step)))
							}
						}
					}
				}
				for _, c := range clients {
					check(c)
					var entries []*fanout.Entry
					for _, e := range c.entries {
						entries = append(entries, e)
					}
					c.outbox.Close(nil, entries)
				}
				flush()
				want(t, r.Topics(), 0)
				want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			})
		})
	}
}

// modelSubscription is a present or past subscription of a modelSubscriber.
type modelSubscription struct {
	topic    events.Topic
	id       events.ID
	entry    *fanout.Entry
	from, to int // of the events of the topic; to < 0: it goes on
}

// modelSubscriber is a client of TestModel_deliversToSubscriptionsThatComeAndGo.
type modelSubscriber struct {
	socket   *socket
	outbox   *fanout.Outbox
	protocol fanout.Protocol
	has      map[events.Topic]*modelSubscription
	all      []*modelSubscription // present and past
}

func (r *rig) openModelClient(random *rand.Rand) *modelSubscriber {
	c := &modelSubscriber{socket: newSocket(), has: map[events.Topic]*modelSubscription{}}
	c.protocol = fanout.Protocol(random.IntN(8) / 7) // one in eight uses MessagePack
	c.socket.takes = time.Duration(random.IntN(3)) * time.Millisecond
	c.outbox = r.Open(c.socket, c.protocol)
	return c
}

func (c *modelSubscriber) subscribe(topic events.Topic, published int) {
	a := c.outbox.Acquire(topic)
	m := &modelSubscription{topic: topic, id: a.ID, entry: a.Entry, from: published, to: -1}
	c.has[topic] = m
	c.all = append(c.all, m)
	c.outbox.Apply(fanout.Change{
		Frame: []byte("subscribed " + m.id.String() + "\n"), Add: []fanout.Subscription{a},
	})
}

func (c *modelSubscriber) unsubscribe(topic events.Topic, published int) {
	m := c.has[topic]
	delete(c.has, topic)
	m.to = published
	c.outbox.Apply(fanout.Change{
		Frame: []byte("unsubscribed " + m.id.String() + "\n"), Remove: []*fanout.Entry{m.entry},
	})
}

func (c *modelSubscriber) close() {
	var entries []*fanout.Entry
	for _, m := range c.has {
		entries = append(entries, m.entry)
	}
	c.outbox.Close(nil, entries)
}

// check compares the received events with the published ones.
func (c *modelSubscriber) check(t *testing.T, published map[events.Topic][]string) {
	t.Helper()
	got, last := map[string][]string{}, map[string]string{}
	for _, l := range c.socket.lines() {
		fields := strings.Fields(l)
		switch {
		case l == "ping":
		case fields[0] == "subscribed" || fields[0] == "unsubscribed":
			last[fields[1]] = fields[0]
		default:
			if c.protocol == fanout.ProtocolMessagePack {
				fields[0] = fields[0][1:]
			}
			if last[fields[0]] != "subscribed" {
				t.Fatalf("%q came when the subscription was %q", l, last[fields[0]])
			}
			got[fields[0]] = append(got[fields[0]], fields[2])
		}
	}
	for _, m := range c.all {
		sent, received := published[m.topic][m.from:], got[m.id.String()]
		if m.to >= 0 {
			sent = sent[:m.to-m.from]
		}
		if m.topic.Type == stateTopic(0).Type {
			sent, received = byState(sent, m.to < 0), byState(received, m.to < 0)
		}
		if m.to >= 0 {
			sent = sent[:min(len(received), len(sent))] // events under way at the end may be dropped
		}
		want(t, strings.Join(received, " "), strings.Join(sent, " "))
	}
}

// byState returns the states that fanout promises: the newest of each for a subscription that goes on, none for one
// that has ended.
func byState(data []string, goesOn bool) (newest []string) {
	if !goesOn {
		return nil
	}
	seen := map[string]bool{}
	for _, d := range slices.Backward(data) {
		if state, _, _ := strings.Cut(d, ","); !seen[state] {
			seen[state] = true
			newest = append(newest, d)
		}
	}
	slices.Sort(newest)
	return newest
}

// TestModel_deliversToSubscriptionsThatComeAndGo lets clients subscribe, unsubscribe and subscribe again at once,
// while events are under way, joined, held back and behind full sockets. A subscription receives the events that are
// published while it lives, in order and between the answers to its calls, and of states at least the newest.
func TestModel_deliversToSubscriptionsThatComeAndGo(t *testing.T) {
	const steps, few, many = 1500, 12, 120 // many: lists are long
	for seed := range 30 {
		options := fanout.Options{
			Shards: 1 + seed%2,
			Outbox: fanout.OutboxOptions{WriteBytes: 200 + seed%5*400, Bytes: 1 << 30, Age: time.Hour},
			Flow: fanout.FlowOptions{
				Rest: time.Duration(seed%3) * 10 * time.Millisecond, Backlog: int64(30 + seed%7*100),
			},
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			run(t, options, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(uint64(seed), 0))
				topics := []events.Topic{stateTopic(9), callTopic(0), callTopic(1), callTopic(2)}[:2+seed%3]
				published := map[events.Topic][]string{}
				var all []*modelSubscriber
				for range few {
					all = append(all, r.openModelClient(random))
				}
				for seed%3 == 2 && len(all) < many {
					c := r.openModelClient(random)
					c.subscribe(topics[0], 0)
					all = append(all, c)
				}
				for step := range steps {
					i, topic := random.IntN(len(all)), topics[random.IntN(len(topics))]
					if step%2 == 0 {
						i %= few // these act again soon
					}
					c := all[i]
					switch action := random.IntN(100); {
					case action < 45:
						data := fmt.Sprintf("%d,%d%s", random.IntN(3), step, strings.Repeat("z", random.IntN(60)))
						published[topic] = append(published[topic], data)
						r.publish(topic, data)
					case action < 57 && c.has[topic] == nil:
						c.subscribe(topic, len(published[topic]))
					case action < 65 && c.has[topic] != nil:
						c.unsubscribe(topic, len(published[topic]))
					case action < 68:
						c.socket.freeze(random.IntN(100))
					case action < 72:
						c.socket.freeze(-1)
					case action < 73:
						c.socket.freeze(-1)
						c.close()
						all[i] = r.openModelClient(random)
					default:
						time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
					}
				}
				for _, c := range all {
					c.socket.freeze(-1)
				}
				elapse(2 * time.Second)
				for _, c := range all {
					c.check(t, published)
					c.close()
				}
				synctest.Wait()
				want(t, r.Topics(), 0)
				want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
				want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
				want(t, r.metric(t, "rte_fanout_outboxes_full", ""), 0.0)
			})
		})
	}
}

// TestApply_missesNoLaterEvent subscribes and closes at full speed against a publisher: every event whose dispatch
// began after Apply had returned must arrive, and no later one may be missing.
func TestApply_missesNoLaterEvent(t *testing.T) {
	r := newRig(t, fanout.Options{Shards: 2})
	ctx := t.Context()
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(running.Wait)

	var begun, ended atomic.Int64 // numbers of the events whose dispatch has begun, has ended
	stop := make(chan struct{})
	var publisher, clients sync.WaitGroup
	publisher.Go(func() {
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			begun.Store(n)
			r.publish(callTopic(1), fmt.Sprint(n))
			ended.Store(n)
		}
	})
	for range 4 {
		clients.Go(func() {
			for range 50 {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				e, _ := r.subscribe(o, callTopic(1))
				first := begun.Load() + 1
				for ended.Load() < first+3 {
					runtime.Gosched()
				}
				// All events up to here must arrive before the end.
				for last := fmt.Sprint(" ", ended.Load(), "\n"); !s.contains(last); {
					runtime.Gosched()
				}
				gone := make(chan struct{})
				s.mu.Lock()
				s.onEnd = func() { close(gone) }
				s.mu.Unlock()
				o.Close([]byte("bye\n"), []*fanout.Entry{e})
				<-gone
				lines := s.lines()
				next := int64(-1)
				for _, l := range lines[:len(lines)-1] {
					var id string
					var entity, n int64
					if _, err := fmt.Sscan(l, &id, &entity, &n); err != nil {
						t.Errorf("line %q: %v", l, err)
						return
					}
					if next >= 0 && n != next {
						t.Errorf("event %d after %d", n, next-1)
						return
					}
					if next < 0 && n > first {
						t.Errorf("first event is %d, but %d was dispatched after the answer", n, first)
						return
					}
					next = n + 1
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	publisher.Wait()
	if n := r.Topics(); n != 0 {
		t.Errorf("%d topics left behind", n)
	}
}
