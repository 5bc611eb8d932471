package fanout_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// modelClient is one client of TestModel: the real outbox beside the simplest thing that could be right.
type modelClient struct {
	socket  *socket
	outbox  *fanout.Outbox
	entries map[events.Topic]*subscriptions.Entry
	ids     map[events.Topic]events.ID
	wants   []string
}

// byTopic sorts lines by their second word, the topic, and keeps their order within one: that is what is promised.
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

// TestModel drives a dispatcher through a long random life and compares what each client received, in order, with
// what a client of that life must receive.
func TestModel(t *testing.T) {
	const steps, topics = 10_000, 12
	for _, seed := range []uint64{1, 2, 3, 4} {
		// Where writes take time, events join passes, and lanes rest.
		takes := time.Duration(seed%2) * 300 * time.Microsecond
		settle := func() {
			time.Sleep(1000 * takes)
			synctest.Wait()
		}
		options := fanout.Options{Shards: 3, WriteBytes: 500, OutboxBytes: 1 << 30, OutboxAge: 24 * time.Hour, Rest: 25 * time.Millisecond}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			run(t, options, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(seed, 0))
				var clients []*modelClient
				check := func(c *modelClient) {
					c.socket.freeze(-1)
					settle()
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
							entries: map[events.Topic]*subscriptions.Entry{},
							ids:     map[events.Topic]events.ID{},
						}
						c.socket.takes = takes
						c.outbox = r.Open(c.socket, fanout.ProtocolJSON)
						clients = append(clients, c)
					case action == 1:
						check(c)
						var entries []*subscriptions.Entry
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
						e, id := r.registry.Acquire(topic), events.NewID()
						c.entries[topic], c.ids[topic] = e, id
						frame := fmt.Sprintf("subscribed %d %d", topic.Entity[0], step)
						c.outbox.Apply(fanout.Change{Frame: []byte(frame + "\n"), Add: []fanout.Listener{{Entry: e, ID: id}}})
						c.wants = append(c.wants, frame)
					case action < 8 && c.entries[topic] != nil:
						settle() // what is under way may be left out from now on
						c.outbox.Apply(fanout.Change{Remove: []*subscriptions.Entry{c.entries[topic]}})
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
					var entries []*subscriptions.Entry
					for _, e := range c.entries {
						entries = append(entries, e)
					}
					c.outbox.Close(nil, entries)
				}
				settle()
				want(t, r.registry.Len(), 0)
				want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			})
		})
	}
}

// TestNothingIsMissed subscribes and closes at full speed against a publisher: every event whose dispatch began after
// Apply had returned must arrive, and none may be left out behind it.
func TestNothingIsMissed(t *testing.T) {
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
				e, _ := r.listen(o, callTopic(1))
				first := begun.Load() + 1
				for ended.Load() < first+3 {
					runtime.Gosched()
				}
				// Everything up to here must arrive before the end.
				for last := fmt.Sprint(" ", ended.Load(), "\n"); !s.contains(last); {
					runtime.Gosched()
				}
				gone := make(chan struct{})
				s.mu.Lock()
				s.onEnd = func() { close(gone) }
				s.mu.Unlock()
				o.Close([]byte("bye\n"), []*subscriptions.Entry{e})
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
	if n := r.registry.Len(); n != 0 {
		t.Errorf("%d topics left behind", n)
	}
}
