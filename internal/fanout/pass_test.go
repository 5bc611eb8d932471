package fanout_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/fanout"
)

// slowCrowd opens sockets on which a write takes a millisecond, and subscribes each to topics of one organization.
func slowCrowd(r *rig, size, topics int) []*socket {
	sockets := make([]*socket, size)
	for i := range sockets {
		sockets[i] = newSocket()
		sockets[i].takes = time.Millisecond
		o := r.Open(sockets[i], fanout.ProtocolJSON)
		for n := range topics {
			r.subscribe(o, callTopic(n))
		}
	}
	synctest.Wait()
	return sockets
}

// events returns the data of the events that a socket has received since the last call.
func (s *socket) events() string {
	var data []string
	for _, l := range s.lines() {
		fields := strings.Fields(l)
		data = append(data, fields[len(fields)-1])
	}
	return strings.Join(data, " ")
}

func TestPass_letsAnEventOfTheTopicJoin(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		const clients, turn = 300, 64
		crowd := slowCrowd(r, clients, 1)
		r.publish(callTopic(0), "a")
		time.Sleep(100 * time.Millisecond)
		r.publish(callTopic(0), "b")
		time.Sleep(clients * time.Millisecond / 2)
		synctest.Wait()
		joined := 0
		for joined < clients && crowd[joined].events() == "a" {
			joined++
		}
		if joined < 100 || joined > 100+turn {
			t.Fatalf("the event joined in front of client %d", joined)
		}
		time.Sleep(clients * time.Millisecond)
		synctest.Wait()
		for i, s := range crowd {
			switch {
			case i < joined:
				want(t, s.events(), "b")
			case i > joined: // lines at joined were read above
				want(t, s.events(), "a b")
			}
		}
		want(t, r.metric(t, "rte_fanout_writes_total", ""), float64(clients+joined))
		want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
	})
}

// A flood keeps one pass going while clients come and go.
func TestPass_continuesWhileEventsArrive(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		crowd := slowCrowd(r, 10, 1)
		late := newSocket()
		late.takes = time.Millisecond
		var sent []string
		for i := range 500 {
			if i == 250 {
				r.subscribe(r.Open(late, fanout.ProtocolJSON), callTopic(0))
			}
			data := fmt.Sprint(i, strings.Repeat("x", 100))
			sent = append(sent, data)
			r.publish(callTopic(0), data)
			time.Sleep(3 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		for _, s := range crowd {
			want(t, s.events(), strings.Join(sent, " "))
		}
		want(t, late.events(), strings.Join(sent[250:], " "))
		// Ten writes take as long as three or four events are apart: without joining there would be 5,000.
		if writes := r.metric(t, "rte_fanout_writes_total", ""); writes > 2000 {
			t.Errorf("%v writes", writes)
		}
	})
}

// While a publisher waits for room, its events are spread over the clients, and the shard never rests.
func TestPass_spreadsAFlood(t *testing.T) {
	flow := fanout.FlowOptions{Backlog: 4000, Rest: 20 * time.Millisecond}
	run(t, fanout.Options{Shards: 1, Flow: flow}, func(t *testing.T, r *rig) {
		const clients, total = 1000, 80 // a write to each takes a second
		crowd := slowCrowd(r, clients, 1)
		began := time.Now()
		var longest time.Duration
		var sent []string
		for i := range total {
			offered := time.Now()
			r.publish(callTopic(0), fmt.Sprint(i))
			if i > total/2 {
				longest = max(longest, time.Since(offered))
			}
			sent = append(sent, fmt.Sprint(i))
		}
		elapse(1100 * time.Millisecond)
		took := time.Since(began)
		for i, s := range crowd {
			if got := s.events(); got != strings.Join(sent, " ") {
				t.Fatalf("client %d got %q", i, got)
			}
		}
		// About eight events are on the way, with half of their rounds left on average.
		if longest > 300*time.Millisecond {
			t.Errorf("one event waited %v for room", longest)
		}
		if writes := r.metric(t, "rte_fanout_writes_total", ""); writes > clients*total/6 {
			t.Errorf("%v writes", writes)
		} else if busy := time.Duration(writes) * time.Millisecond; took-busy > 200*time.Millisecond {
			t.Errorf("wrote for %v of %v", busy, took)
		}
		want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
	})
}

// Frames for single clients, such as pings, wait for the turn of the control queue. Events behind them collected
// uncounted until that turn, however many a flood brought.
func TestPass_isNotDelayedByFramesForOneClient(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 2000}}, func(t *testing.T, r *rig) {
		const clients, total = 500, 20
		const answer = "answer\n"
		crowd := make([]*socket, clients)
		outboxes := make([]*fanout.Outbox, clients)
		for i := range crowd {
			crowd[i] = newSocket()
			crowd[i].takes = time.Millisecond
			outboxes[i] = r.Open(crowd[i], fanout.ProtocolJSON)
			r.subscribe(outboxes[i], callTopic(0))
		}
		synctest.Wait()
		for i := range total {
			if i == total/2 {
				for _, o := range outboxes {
					o.Send([]byte(answer))
				}
			}
			r.publish(callTopic(0), fmt.Sprint(i))
			waiting := (i + 1) * clients
			for _, s := range crowd {
				waiting -= s.count("\n") - s.count(answer)
			}
			// There is room for four events, and for one more that arrives then.
			if waiting > 6*clients {
				t.Fatalf("%d deliveries wait behind event %d", waiting, i)
			}
		}
		elapse(3 * time.Second)
		for i, s := range crowd {
			if answers, events := s.count(answer), s.count("\n")-s.count(answer); answers != 1 || events != total {
				t.Fatalf("client %d: %d answers, %d events", i, answers, events)
			}
		}
	})
}

// firstWrite is a socket that records the bytes allocated before the first write to several sockets.
type firstWrite struct {
	*socket
	allocated *uint64
}

func (s firstWrite) TryWrite(p []byte) (int, error) {
	if *s.allocated == 0 {
		*s.allocated = allocatedBytes()
	}
	return s.socket.TryWrite(p)
}

func allocatedBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// An indirect pass collected its event in all outboxes before the first write: 3 GB for one event of 30 KB and 100,000
// clients. The bound counted bytes of frames instead of buffers: with an event of 100 bytes, 60,000 outboxes took a
// buffer of 4 KB each before the first write.
func TestPass_boundsCollectedBytes(t *testing.T) {
	t.Run("large events", func(t *testing.T) { testCollectedBytes(t, 3000, 30<<10) })
	t.Run("small events", func(t *testing.T) { testCollectedBytes(t, 12_000, 100) })
}

func testCollectedBytes(t *testing.T, clients, size int) {
	t.Helper()
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		var first uint64
		crowd := make([]*socket, clients)
		for i := range crowd {
			crowd[i] = newSocket()
			o := r.Open(firstWrite{crowd[i], &first}, fanout.ProtocolJSON)
			r.subscribe(o, callTopic(0))
			r.subscribe(o, callTopic(1))
		}
		busy := newSocket()
		r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(2))
		synctest.Wait()
		release := busy.hold()
		r.publish(callTopic(2), "busy")
		synctest.Wait()
		r.publish(callTopic(0), strings.Repeat("a", size))
		r.publish(callTopic(1), "b") // of another topic, so that outboxes collect both events
		before := allocatedBytes()
		release()
		synctest.Wait()
		if collected := first - before; collected > 24<<20 {
			t.Errorf("%d MB were collected before the first write", collected>>20)
		}
		for i, s := range crowd {
			if got := s.events(); got != strings.Repeat("a", size)+" b" {
				t.Fatalf("client %d got %d bytes", i, len(got))
			}
		}
		want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
	})
}

// largestWrite is a socket that records the bytes of the largest write.
type largestWrite struct {
	*socket
	bytes *int
}

func (w largestWrite) TryWrite(p []byte) (int, error) {
	*w.bytes = max(*w.bytes, len(p))
	return w.socket.TryWrite(p)
}

// When the bound began to count buffers instead of frames, outboxes collected twice as many events of a kilobyte before
// the first write. The bytes had left the processor's cache by then, and the buffers were too many to keep: a delivery
// took 17 % longer and 2.6 times the memory.
func TestPass_writesWhatTheCacheHolds(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 1 << 20}}, func(t *testing.T, r *rig) {
		const clients, topics, size = 1000, 32, 1000
		largest := 0
		for range clients {
			o := r.Open(largestWrite{newSocket(), &largest}, fanout.ProtocolJSON)
			for n := range topics {
				r.subscribe(o, callTopic(n))
			}
		}
		busy := newSocket()
		r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(topics))
		synctest.Wait()
		release := busy.hold()
		r.publish(callTopic(topics), "busy")
		synctest.Wait()
		for n := range topics {
			r.publish(callTopic(n), strings.Repeat("a", size))
		}
		release()
		synctest.Wait()
		if most := (8 << 20 / clients) + 2*size; largest > most {
			t.Errorf("a write had %d bytes, want at most %d", largest, most)
		}
	})
}

// Several shards yielded as well, which gained nothing where another processor is free.
func TestOptions_onlyASingleShardYields(t *testing.T) {
	for shards, want := range map[int]bool{1: true, 2: false} {
		if got := (fanout.Options{JSON: kilobyte, Shards: shards}).Yields(); got != want {
			t.Errorf("%d shards yield: %t", shards, got)
		}
	}
}

// A busy shard lets other threads run; an idle one has no need to.
func TestShard_yieldsTheProcessor(t *testing.T) {
	var yields atomic.Int64
	o := fanout.Options{Shards: 1}
	o.OnYield(func() { yields.Add(1) })
	run(t, o, func(t *testing.T, r *rig) {
		const clients = 10_000
		for range clients {
			s := newSocket()
			s.takes = 5 * time.Microsecond
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(0))
		}
		elapse(time.Second)
		before := yields.Load()
		r.publish(callTopic(0), "a")
		elapse(clients * 5 * time.Microsecond)
		// 50 ms of writes, and a yield after each turn of at least 250 us.
		if n := yields.Load() - before; n < 100 || n > 200 {
			t.Errorf("%d yields", n)
		}
		before = yields.Load()
		elapse(10 * time.Second) // keep-alive is not due yet
		if n := yields.Load() - before; n > 0 {
			t.Errorf("%d yields without work", n)
		}
	})
}

// warmable is a socket that records the order of Warm and TryWrite.
type warmable struct {
	*socket
	number int
	calls  *[]call
}

type call struct {
	number int
	warm   bool
}

func (s warmable) Warm() { *s.calls = append(*s.calls, call{s.number, true}) }

func (s warmable) TryWrite(p []byte) (int, error) {
	*s.calls = append(*s.calls, call{s.number, false})
	return s.socket.TryWrite(p)
}

func TestPass_warmsEachSocketBeforeItsWrite(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		const clients, ahead = 40, 16
		var calls []call
		for i := range clients {
			r.subscribe(r.Open(warmable{newSocket(), i, &calls}, fanout.ProtocolJSON), callTopic(0))
		}
		synctest.Wait()
		calls = nil // of the answers to Subscribe
		r.publish(callTopic(0), "a")
		synctest.Wait()
		warm := map[int]int{} // where among the calls
		writes := 0
		for at, c := range calls {
			if c.warm {
				warm[c.number] = at
				continue
			}
			writes++
			if before, ok := warm[c.number]; !ok || at-before > 2*ahead {
				t.Errorf("socket %d was written by call %d and warmed by call %d (%t)", c.number, at, before, ok)
			}
		}
		if writes != clients || len(warm) != clients {
			t.Errorf("%d sockets were written and %d were warmed, want %d", writes, len(warm), clients)
		}
	})
}
