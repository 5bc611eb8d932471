package fanout_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func TestSlowReader_delaysOnlyItself(t *testing.T) {
	t.Run("frozen does not slow the others and ends as slow", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{Bytes: 10_000}}, func(t *testing.T, r *rig) {
			frozen, healthy := newSocket(), newSocket()
			o := r.Open(frozen, fanout.ProtocolJSON)
			e, _ := r.subscribe(o, callTopic(1))
			_, id := r.subscribe(r.Open(healthy, fanout.ProtocolJSON), callTopic(1))
			synctest.Wait()
			frozen.freeze(100)
			start, n := time.Now(), 0
			for ; frozen.ends() == "[]" && n < 1000; n++ {
				r.publish(callTopic(1), fmt.Sprint(n, " ", strings.Repeat("x", 100)))
				synctest.Wait()
				want(t, healthy.lines(), []string{line(id, 1, fmt.Sprint(n, " ", strings.Repeat("x", 100)))})
				if r.metric(t, "rte_fanout_dropped_total", "slow") > 0 {
					break
				}
			}
			if elapsed := time.Since(start); elapsed != 0 {
				t.Errorf("the healthy one waited %v", elapsed)
			}
			dropped := r.metric(t, "rte_fanout_dropped_total", "slow")
			if n < 35 || n > 50 {
				t.Errorf("ended after %d events that take 240 bytes each, bound 10,000 bytes", n)
			}
			frozen.freeze(-1)
			synctest.Wait()
			lines := frozen.lines()
			want(t, lines[len(lines)-1], "final slow")
			want(t, frozen.ends(), "[slow]")
			// Every event is either there or counted.
			want(t, float64(len(lines)-1)+dropped, float64(n+1))
			o.Close(nil, []*fanout.Entry{e})
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_outboxes_full", ""), 0.0)
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			want(t, frozen.ends(), "[slow]")
		})
	})
	t.Run("gets every call event in order once it reads again", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{WriteBytes: 200}}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			var lines []string
			for i := range 300 {
				if i%7 == 0 {
					s.freeze(50) // in the middle of a frame
				}
				r.publish(callTopic(1), fmt.Sprint(i))
				lines = append(lines, line(id, 1, fmt.Sprint(i)))
			}
			synctest.Wait()
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), lines)
			want(t, r.metric(t, "rte_fanout_deliveries_total", ""), 300.0)
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
		})
	})
	t.Run("gets the newest of each state in the place of the first", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			_, state := r.subscribe(o, stateTopic(1))
			_, call := r.subscribe(o, callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "first fills the socket")
			synctest.Wait()
			for _, data := range []string{"a,1", "b,1", "a,2"} {
				r.publish(stateTopic(1), data)
			}
			r.publish(callTopic(1), "ring")
			r.publish(stateTopic(1), "b,2")
			r.publish(stateTopic(1), "b,3")
			synctest.Wait()
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{
				line(call, 1, "first fills the socket"),
				line(state, 1, "a,2"), line(state, 1, "b,3"), line(call, 1, "ring"),
			})
			want(t, r.metric(t, "rte_fanout_dropped_total", "conflated"), 3.0)
		})
	})
	// A state replaced an older one of another subscription of the client. The first state of a new subscription then
	// came before the answers that ended the old and began the new one, and the last state of the old one was lost.
	t.Run("gets the states of a subscription behind the answer that begins it", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, o, e, before := r.full(stateTopic(1), "fills the socket")
			r.publish(stateTopic(1), "a,1")
			r.publish(stateTopic(1), "a,2")
			synctest.Wait()
			o.Apply(fanout.Change{Frame: []byte("unsubscribed\n"), Remove: []*fanout.Entry{e}})
			st := r.begin(t, o, stateTopic(1))
			r.publish(stateTopic(1), "a,3")
			r.publish(stateTopic(1), "a,4")
			synctest.Wait()
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{
				line(before, 1, "fills the socket"), line(before, 1, "a,2"), "unsubscribed",
				"subscribed", st.line("a,4"),
			})
			want(t, r.metric(t, "rte_fanout_dropped_total", "conflated"), 2.0)
			st.end()
		})
	})
	// When all events before a large frame had expired, the outbox took that for the end of what waits. It lost the large
	// frame and all behind it. If that frame was an answer, the client's calls waited forever.
	t.Run("gets a large answer, and what follows, behind events that have expired", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, o, _, id := r.full(callTopic(1), "fills the socket")
			r.Dispatch(&events.Event{
				Topic: callTopic(1), Timestamp: time.Now(), TTLSeconds: 1, Data: []byte("expires"),
			})
			large := strings.Repeat("y", 100_000)
			c := &calling{Outbox: o}
			c.answer(large + "\n")
			r.publish(callTopic(1), "follows")
			time.Sleep(2 * time.Second)
			c.expectWaiting(t, true, 0)
			s.freeze(-1)
			c.expectWaiting(t, false, 1)
			want(t, s.lines(), []string{line(id, 1, "fills the socket"), large, line(id, 1, "follows")})
			want(t, r.metric(t, "rte_fanout_dropped_total", "expired"), 1.0)
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
		})
	})
	// A partly written frame counted in full, so the first event behind an answer of a few megabytes ended the session
	// of a client that was reading the answer.
	for name, fills := range map[string]bool{
		"while it takes one large answer": false, "while one large answer waits": true,
	} {
		t.Run("is not slow "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				_, id := r.subscribe(o, callTopic(1))
				synctest.Wait()
				s.freeze(0)
				var lines []string
				if fills {
					r.publish(callTopic(1), "fills the socket")
					lines = append(lines, line(id, 1, "fills the socket"))
					synctest.Wait()
				}
				answer := strings.Repeat("y", 3<<20)
				for range 2 {
					o.Send([]byte(answer + "\n"))
					r.publish(callTopic(1), "x")
					lines = append(lines, answer, line(id, 1, "x"))
					synctest.Wait()
					want(t, s.ends(), "[]")
					s.freeze(-1)
					synctest.Wait()
					want(t, s.lines(), lines)
					s.freeze(0)
					lines = nil
				}
				want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			})
		})
	}
	// An event larger than the bound, or nearly so, ended the sessions of clients that read it.
	for name, size := range map[string]int{"one event of the bound waits": 1 << 20, "one larger event waits": 3 << 20} {
		t.Run("is not slow while "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s, o, _, id := r.full(callTopic(1), "fills the socket")
				lines := []string{line(id, 1, "fills the socket")}
				for range 2 {
					large := strings.Repeat("y", size)
					r.publish(callTopic(1), large)
					lines = append(lines, line(id, 1, large))
					for i := range 20 {
						r.publish(callTopic(1), strconv.Itoa(i))
						lines = append(lines, line(id, 1, strconv.Itoa(i)))
					}
					synctest.Wait()
					want(t, s.ends(), "[]")
					s.freeze(-1)
					synctest.Wait()
					want(t, s.lines(), lines)
					s.freeze(0)
					lines = []string{"fills the socket"}
					o.Send([]byte("fills the socket\n"))
					synctest.Wait()
				}
			})
		})
	}
	t.Run("is not slow while a large state waits that a newer one replaces", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, _, _, id := r.full(stateTopic(1), "fills the socket")
			for range 5 {
				r.publish(stateTopic(1), "a,"+strings.Repeat("y", 3<<20))
				synctest.Wait()
				want(t, s.ends(), "[]")
			}
			r.publish(stateTopic(1), "a,1")
			synctest.Wait()
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "fills the socket"), line(id, 1, "a,1")})
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
		})
	})
	t.Run("ends as slow when large events wait", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, _, _, _ := r.full(callTopic(1), "fills the socket")
			for range 2 {
				r.publish(callTopic(1), strings.Repeat("y", 1<<20))
				synctest.Wait()
			}
			s.freeze(-1)
			synctest.Wait()
			want(t, s.ends(), "[slow]")
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
		})
	})
	t.Run("ends as slow when large answers wait", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			s.freeze(0)
			for range 3 {
				o.Send([]byte(strings.Repeat("y", 3<<20) + "\n"))
				synctest.Wait()
			}
			s.freeze(-1)
			synctest.Wait()
			want(t, s.ends(), "[slow]")
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
		})
	})
	// A waiting frame of two bytes takes some 100 bytes that did not count: 43 times the bound waited.
	t.Run("ends as slow when many small frames wait", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{Bytes: 100_000}}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			s.freeze(0)
			o.Send([]byte("fills the socket\n"))
			synctest.Wait()
			for range 2000 { // and 196,000 bytes
				o.Send([]byte{0x8a, 0})
				synctest.Wait()
			}
			s.freeze(-1)
			synctest.Wait()
			want(t, s.ends(), "[slow]")
		})
	})
	// The frames that one turn collected for a full socket had no bound.
	t.Run("ends as slow when the answers of one turn are too much", func(t *testing.T) {
		bounds := fanout.OutboxOptions{Bytes: 10_000, WriteBytes: 1000}
		run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
			s, busy := newSocket(), newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
			synctest.Wait()
			s.freeze(0)
			release := busy.hold()
			r.publish(callTopic(9), "busy")
			synctest.Wait()
			for range 50 {
				o.Send([]byte(strings.Repeat("y", 500) + "\n"))
			}
			release()
			synctest.Wait()
			if waiting := r.metric(t, "rte_fanout_outbox_waiting_bytes", ""); waiting > 12_000 {
				t.Errorf("%v bytes wait", waiting)
			}
			s.freeze(-1)
			synctest.Wait()
			want(t, s.ends(), "[slow]")
		})
	})
	t.Run("does not get what expired while it did not read", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "fills the socket")
			synctest.Wait()
			r.Dispatch(&events.Event{Topic: callTopic(1), TTLSeconds: 2, Timestamp: time.Now(), Data: []byte("late")})
			r.publish(callTopic(1), "never expires")
			time.Sleep(3 * time.Second)
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "fills the socket"), line(id, 1, "never expires")})
			want(t, r.metric(t, "rte_fanout_dropped_total", "expired"), 1.0)
		})
	})
	t.Run("ends as slow when a frame waits for too long", func(t *testing.T) {
		bounds := fanout.OutboxOptions{Age: 20 * time.Second}
		run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "fills the socket")
			synctest.Wait()
			r.publish(callTopic(1), "waits")
			time.Sleep(31 * time.Second)
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_dropped_total", "slow"), 1.0)
		})
	})
	t.Run("ends as slow while newer states replace the one that waits", func(t *testing.T) {
		bounds := fanout.OutboxOptions{Age: 20 * time.Second}
		run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
			s, _, _, _ := r.full(stateTopic(1), "fills the socket")
			for i := range 31 {
				r.publish(stateTopic(1), fmt.Sprint("a,", i))
				time.Sleep(time.Second)
			}
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_dropped_total", "slow"), 1.0)
			s.freeze(-1)
		})
	})
	t.Run("ends as slow although a large state waited before", func(t *testing.T) {
		bounds := fanout.OutboxOptions{WriteBytes: 500, Bytes: 3000}
		run(t, fanout.Options{Shards: 1, Outbox: bounds}, func(t *testing.T, r *rig) {
			s, o, _, _ := r.full(stateTopic(1), "fills the socket")
			r.subscribe(o, callTopic(1))
			r.publish(stateTopic(1), "a,"+strings.Repeat("x", 8000))
			r.publish(stateTopic(1), "a,small") // replaces the large one, which did not count
			for range 20 {
				r.publish(callTopic(1), strings.Repeat("x", 100))
			}
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_dropped_total", "slow") > 0, true)
			s.freeze(-1)
		})
	})
}
