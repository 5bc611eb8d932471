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

// received says what a socket has received since the last call, without ids.
func (s *socket) events() string {
	var data []string
	for _, l := range s.lines() {
		fields := strings.Fields(l)
		data = append(data, fields[len(fields)-1])
	}
	return strings.Join(data, " ")
}

func TestPass_anEventJoinsThatOfItsTopic(t *testing.T) {
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
			case i > joined: // the one in between was asked above
				want(t, s.events(), "a b")
			}
		}
		want(t, r.metric(t, "rte_fanout_writes_total", ""), float64(clients+joined))
		want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
	})
}

// A flood keeps one pass going for long, in which clients come and go.
func TestPass_goesOnAsLongAsEventsCome(t *testing.T) {
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

// Events that a publisher has to wait with are spread over the clients, and the shard never rests meanwhile.
func TestPass_aFloodIsEven(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Flow: fanout.FlowOptions{Backlog: 4000, Rest: 20 * time.Millisecond}}, func(t *testing.T, r *rig) {
		const clients, total = 1000, 80 // a write to each takes a second
		crowd := slowCrowd(r, clients, 1)
		began := time.Now()
		var longest time.Duration
		var sent []string
		for i := range total {
			asked := time.Now()
			r.publish(callTopic(0), fmt.Sprint(i))
			if i > total/2 {
				longest = max(longest, time.Since(asked))
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
		// Eight are on the way when half of their ways is left.
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

// Frames for single clients, such as pings, wait for the turn of another lane. Events that found them in front collected
// there uncounted: all that a flood brought until that turn came.
func TestPass_framesForOneClientHoldUpNoEvents(t *testing.T) {
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
			// There is room for four events, and for the one that comes when there is.
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

// firstWrite is a socket that knows how much had been allocated when the first of several was written to.
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

// A pass through the outboxes collected its event in all of them before it wrote to the first one: one event of 30 KB to
// 100,000 clients was 3 GB.
func TestPass_whatItCollectsIsBounded(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		const clients, size = 3000, 30 << 10
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
		r.publish(callTopic(1), "b") // of another topic, so that outboxes collect both
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

// A shard that is busy lets other threads run, and one that is not does not bother.
func TestPass_offersTheProcessor(t *testing.T) {
	var offers atomic.Int64
	o := fanout.Options{Shards: 1}
	o.OnYield(func() { offers.Add(1) })
	run(t, o, func(t *testing.T, r *rig) {
		const clients = 10_000
		for range clients {
			s := newSocket()
			s.takes = 5 * time.Microsecond
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(0))
		}
		elapse(time.Second)
		before := offers.Load()
		r.publish(callTopic(0), "a")
		elapse(clients * 5 * time.Microsecond)
		// 50 ms of writes, and an offer behind each turn of at least 250 us.
		if n := offers.Load() - before; n < 100 || n > 200 {
			t.Errorf("%d offers", n)
		}
		before = offers.Load()
		elapse(10 * time.Second) // keep-alive is not due yet
		if n := offers.Load() - before; n > 0 {
			t.Errorf("%d offers without work", n)
		}
	})
}
