package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// start is a new subscription with a replay.
type start struct {
	t      testing.TB
	outbox *fanout.Outbox
	fanout.Subscription
	replay *fanout.Replay
}

// begin subscribes an outbox to a topic, with the frame "subscribed".
func (r *rig) begin(t testing.TB, o *fanout.Outbox, topic events.Topic) *start {
	t.Helper()
	s := &start{t: t, outbox: o, Subscription: o.Acquire(topic)}
	s.replay = fanout.NewReplay([]*fanout.Entry{s.Entry})
	o.Apply(fanout.Change{Frame: []byte("subscribed\n"), Add: []fanout.Subscription{s.Subscription}, Replay: s.replay})
	return s
}

// state returns a state event of the subscription's topic.
func (s *start) state(data string) fanout.State {
	return fanout.State{Subscription: s.Subscription, Event: &events.Event{Topic: s.Entry.Topic(), Data: []byte(data)}}
}

// send replays states and waits until the socket has taken them.
func (s *start) send(states ...fanout.State) {
	s.t.Helper()
	if err := s.outbox.Replay(s.t.Context(), s.replay, states); err != nil {
		s.t.Errorf("replay: %v", err)
	}
}

func (s *start) end() { s.outbox.EndReplay(s.replay) }

// line returns an event of the subscription as the socket receives it.
func (s *start) line(data string) string {
	return line(s.ID, int(s.Entry.Topic().Entity[0]), data)
}

func TestReplay_precedesNewerEvents(t *testing.T) {
	each := map[string]struct {
		options fanout.Options
		test    func(t *testing.T, r *rig, s *socket)
	}{
		"follows the answer and precedes newer events": {test: func(t *testing.T, r *rig, s *socket) {
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			st.send(st.state("a,1"), st.state("b,1"))
			r.publish(stateTopic(1), "a,2")
			st.end()
			r.publish(stateTopic(1), "b,2")
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", st.line("a,1"), st.line("b,1"), st.line("a,2"), st.line("b,2")})
		}},
		"omits states that the subscription has, and older ones": {test: func(t *testing.T, r *rig, s *socket) {
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			r.publish(stateTopic(1), "a,2")
			st.send(st.state("a,1"), st.state("a,2"), st.state("b,1"))
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", st.line("a,2"), st.line("b,1")})
			want(t, r.metric(t, "rte_fanout_replays_total", "superseded"), 2.0)
			want(t, r.metric(t, "rte_fanout_replays_total", "sent"), 1.0)
			st.end()
		}},
		"sends states from before the subscription": {test: func(t *testing.T, r *rig, s *socket) {
			other := newSocket()
			earlier := r.begin(t, r.Open(other, fanout.ProtocolJSON), stateTopic(1)) // the topic is watched already
			r.publish(stateTopic(1), "a,1")
			synctest.Wait()
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			st.send(st.state("a,1"))
			earlier.send(earlier.state("a,1"))
			earlier.end()
			st.end()
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", st.line("a,1")})
			want(t, other.lines(), []string{"subscribed", earlier.line("a,1")})
		}},
		"omits states that a quota holds back": {
			options: fanout.Options{Flow: fanout.FlowOptions{Quota: 1}},
			test: func(t *testing.T, r *rig, s *socket) {
				r.subscribe(r.Open(newSocket(), fanout.ProtocolJSON), stateTopic(1))
				r.publish(stateTopic(1), "a,1")
				r.publish(stateTopic(1), "a,2")
				st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
				st.send(st.state("a,2"), st.state("b,1"))
				st.end()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				want(t, s.lines(), []string{"subscribed", st.line("b,1"), st.line("a,2")})
			},
		},
		"goes to no other outbox": {test: func(t *testing.T, r *rig, s *socket) {
			other := newSocket()
			r.subscribe(r.Open(other, fanout.ProtocolJSON), stateTopic(1))
			st := r.begin(t, r.Open(s, fanout.ProtocolMessagePack), stateTopic(1))
			st.send(st.state("a,1"))
			st.end()
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", "m" + st.line("a,1")})
			want(t, other.lines(), []string(nil))
		}},
		"stops with the subscription": {test: func(t *testing.T, r *rig, s *socket) {
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			st.outbox.Apply(fanout.Change{Frame: []byte("unsubscribed\n"), Remove: []*fanout.Entry{st.Entry}})
			st.send(st.state("a,1"))
			st.end()
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", "unsubscribed"})
		}},
		"stops with the session": {test: func(t *testing.T, r *rig, s *socket) {
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			st.outbox.Close([]byte("bye\n"), []*fanout.Entry{st.Entry})
			st.send(st.state("a,1"))
			st.end()
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", "bye"})
			want(t, r.Topics(), 0)
		}},
		"omits states that have expired or cannot be encoded": {test: func(t *testing.T, r *rig, s *socket) {
			st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
			old := st.state("old,1")
			old.Event.TTLSeconds, old.Event.Timestamp = 60, time.Now().Add(-61*time.Second)
			st.send(old, st.state("malformed"), st.state("a,1"))
			st.end()
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", st.line("a,1")})
		}},
		"waits for a client that reads slowly instead of ending it": {
			options: fanout.Options{Outbox: fanout.OutboxOptions{WriteBytes: 100, Bytes: 1000}},
			test: func(t *testing.T, r *rig, s *socket) {
				s.freeze(60)
				st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
				var states []fanout.State
				lines := []string{"subscribed"}
				for i := range 100 {
					states = append(states, st.state(fmt.Sprintf("k%d,1", i)))
					lines = append(lines, st.line(fmt.Sprintf("k%d,1", i)))
				}
				var client sync.WaitGroup
				client.Go(func() {
					for !s.contains("k99,1") {
						time.Sleep(time.Second)
						s.freeze(60)
					}
				})
				st.send(states...)
				st.end()
				client.Wait()
				want(t, slices.DeleteFunc(s.lines(), func(l string) bool { return l == "ping" }), lines)
				want(t, s.ends(), "[]")
			},
		},
		"returns when its context ends": {
			options: fanout.Options{Outbox: fanout.OutboxOptions{WriteBytes: 100}},
			test: func(t *testing.T, r *rig, s *socket) {
				s.freeze(0)
				st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				states := []fanout.State{st.state("a,1"), st.state("b,1"), st.state("c,1"), st.state("d,1")}
				err := st.outbox.Replay(ctx, st.replay, states)
				want(t, errors.Is(err, context.DeadlineExceeded), true)
				st.end()
				s.freeze(-1)
				synctest.Wait()
				// One write may carry three of them; the fourth was never put behind it.
				want(t, s.lines(), []string{"subscribed", st.line("a,1"), st.line("b,1"), st.line("c,1")})
			},
		},
	}
	for name, c := range each {
		t.Run(name, func(t *testing.T) {
			c.options.Shards = 1
			run(t, c.options, func(t *testing.T, r *rig) { c.test(t, r, newSocket()) })
		})
	}
}

// opening encodes for MessagePack and calls before once, before the first event.
type opening struct{ before func() }

func (e *opening) Encode(ev *events.Event) (fanout.Frame, error) {
	if before := e.before; before != nil {
		e.before = nil
		before()
	}
	return lineEncoder{"m"}.Encode(ev)
}

// An event that was encoded before the first client of a protocol connected could not be sent to that client. It
// counted as received all the same, and the snapshot omitted it.
func TestReplay_sendsStatesThatHadNoFrame(t *testing.T) {
	encoder := &opening{}
	run(t, fanout.Options{Shards: 1, MessagePack: encoder}, func(t *testing.T, r *rig) {
		m, j := newSocket(), newSocket()
		r.subscribe(r.Open(m, fanout.ProtocolMessagePack), stateTopic(1))
		var st *start
		encoder.before = func() {
			st = r.begin(t, r.Open(j, fanout.ProtocolJSON), stateTopic(1))
			synctest.Wait()
		}
		r.publish(stateTopic(1), "a,1")
		st.send(st.state("a,1"))
		r.publish(stateTopic(1), "a,2")
		st.send(st.state("a,1"))
		st.end()
		synctest.Wait()
		want(t, j.lines(), []string{"subscribed", st.line("a,1"), st.line("a,2")})
		want(t, len(m.lines()), 2)
	})
}

func TestReplay_endsWithTheDispatcher(t *testing.T) {
	r := newRig(t, fanout.Options{Shards: 1})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	s := newSocket()
	s.freeze(0)
	st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
	stop()
	err := st.outbox.Replay(t.Context(), st.replay, []fanout.State{st.state("a,1")})
	if err != nil && !errors.Is(err, fanout.ErrEnded) {
		t.Errorf("replay: %v", err)
	}
	st.end()
	running.Wait()
}

// TestReplay_connectsToLaterEvents has clients begin to listen at full speed while states are published. What each of
// them receives of a state are consecutive numbers: the snapshot, or what came instead, then every newer one, each
// once.
func TestReplay_connectsToLaterEvents(t *testing.T) {
	const keys = 3
	r := newRig(t, fanout.Options{Shards: 2})
	ctx := t.Context()
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(running.Wait)

	var order sync.Mutex // of the events and of looking at the states
	var last [keys]int
	stop := make(chan struct{})
	var publisher, clients sync.WaitGroup
	publisher.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			order.Lock()
			last[n%keys]++
			r.publish(stateTopic(1), fmt.Sprintf("%d,%d", n%keys, last[n%keys]))
			order.Unlock()
			runtime.Gosched()
		}
	})
	look := func() [keys]int {
		order.Lock()
		defer order.Unlock()
		return last
	}
	for range 4 {
		clients.Go(func() {
			for range 60 {
				s := newSocket()
				before := look()
				st := r.begin(t, r.Open(s, fanout.ProtocolJSON), stateTopic(1))
				var states []fanout.State
				for key, n := range look() {
					states = append(states, st.state(fmt.Sprintf("%d,%d", key, n)))
				}
				st.send(states...)
				st.end()
				now := look()
				for key, n := range now {
					for !s.contains(fmt.Sprintf(" %d,%d\n", key, n)) {
						runtime.Gosched()
					}
				}
				gone := make(chan struct{})
				s.mu.Lock()
				s.onEnd = func() { close(gone) }
				s.mu.Unlock()
				st.outbox.Close([]byte("bye\n"), []*fanout.Entry{st.Entry})
				<-gone
				lines := s.lines()
				if lines[0] != "subscribed" {
					t.Errorf("%q came before the answer", lines[0])
				}
				var next [keys]int
				for _, l := range lines[1 : len(lines)-1] {
					key, number, _ := strings.Cut(l[strings.LastIndex(l, " ")+1:], ",")
					k, _ := strconv.Atoi(key)
					n, _ := strconv.Atoi(number)
					if next[k] == 0 && n < before[k] {
						t.Errorf("state %d begins with %d, which was replaced by %d before", k, n, before[k])
					}
					if next[k] != 0 && n != next[k] {
						t.Errorf("state %d: %d came after %d", k, n, next[k]-1)
					}
					next[k] = n + 1
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
