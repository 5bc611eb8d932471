package fanout_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

func want(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDispatch(t *testing.T) {
	t.Run("reaches every listener of the topic and nobody else", func(t *testing.T) {
		run(t, fanout.Options{Shards: 3}, func(t *testing.T, r *rig) {
			var sockets []*socket
			var ids []events.ID
			for i := range 10 {
				s := newSocket()
				_, id := r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(i%2))
				sockets, ids = append(sockets, s), append(ids, id)
			}
			r.publish(callTopic(1), "ring")
			r.publish(stateTopic(1), "other type")
			r.publish(events.Topic{Organization: events.ID{9}, Entity: events.ID{1}, Type: 1}, "other organization")
			synctest.Wait()
			for i, s := range sockets {
				var lines []string
				if i%2 == 1 {
					lines = []string{line(ids[i], 1, "ring")}
				}
				want(t, s.lines(), lines)
			}
			want(t, r.metric(t, "rte_fanout_events_total", "heard"), 1.0)
			want(t, r.metric(t, "rte_fanout_events_total", "unheard"), 2.0)
			want(t, r.metric(t, "rte_fanout_deliveries_total", ""), 5.0)
		})
	})
	t.Run("speaks the protocol of each connection", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			j, m := newSocket(), newSocket()
			_, jid := r.listen(r.Open(j, fanout.ProtocolJSON), callTopic(1))
			_, mid := r.listen(r.Open(m, fanout.ProtocolMessagePack), callTopic(1))
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, j.lines(), []string{line(jid, 1, "ring")})
			want(t, m.lines(), []string{"m" + line(mid, 1, "ring")})
		})
	})
	t.Run("counts an event that cannot be encoded and goes on", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			r.publish(callTopic(1), "malformed")
			r.publish(callTopic(1), "fine")
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "fine")})
			want(t, r.metric(t, "rte_fanout_events_total", "malformed"), 1.0)
		})
	})
	t.Run("leaves out an event that has outlived its TTL", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			r.Dispatch(&events.Event{Topic: callTopic(1), TTLSeconds: 60, Timestamp: time.Now().Add(-61 * time.Second)})
			synctest.Wait()
			want(t, s.lines(), []string(nil))
			want(t, r.metric(t, "rte_fanout_events_total", "expired"), 1.0)
		})
	})
	t.Run("sends a frame before the events of what it subscribes to", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			e, id := r.registry.Acquire(callTopic(1)), events.NewID()
			o.Apply(fanout.Change{Frame: []byte("subscribed\n"), Add: []fanout.Listener{{Entry: e, ID: id}}})
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, s.lines(), []string{"subscribed", line(id, 1, "ring")})
			o.Apply(fanout.Change{Frame: []byte("unsubscribed\n"), Remove: []*subscriptions.Entry{e}})
			r.publish(callTopic(1), "ring")
			synctest.Wait()
			want(t, s.lines(), []string{"unsubscribed"})
			want(t, r.registry.Len(), 0)
		})
	})
	t.Run("batches what came while the shard was busy", func(t *testing.T) {
		for name, topics := range map[string]int{"of one topic": 1, "of several topics": 4} {
			t.Run(name, func(t *testing.T) {
				run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
					s, busy := newSocket(), newSocket()
					o := r.Open(s, fanout.ProtocolJSON)
					var lines []string
					ids := make([]events.ID, topics)
					for i := range topics {
						_, ids[i] = r.listen(o, callTopic(i))
					}
					r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(99))
					synctest.Wait()
					release := busy.hold()
					r.publish(callTopic(99), "busy")
					synctest.Wait()
					for i := range 20 {
						r.publish(callTopic(i%topics), fmt.Sprint(i))
						lines = append(lines, line(ids[i%topics], i%topics, fmt.Sprint(i)))
					}
					release()
					synctest.Wait()
					want(t, s.lines(), lines)
					if s.writes > 2 {
						t.Errorf("%d writes for 20 events", s.writes)
					}
				})
			})
		}
	})
}

func TestSlowReader(t *testing.T) {
	t.Run("frozen does not slow the others and ends as slow", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, OutboxBytes: 10_000}, func(t *testing.T, r *rig) {
			frozen, healthy := newSocket(), newSocket()
			o := r.Open(frozen, fanout.ProtocolJSON)
			e, _ := r.listen(o, callTopic(1))
			_, id := r.listen(r.Open(healthy, fanout.ProtocolJSON), callTopic(1))
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
			o.Close(nil, []*subscriptions.Entry{e})
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_outboxes_full", ""), 0.0)
			want(t, r.metric(t, "rte_fanout_outbox_waiting_bytes", ""), 0.0)
			want(t, frozen.ends(), "[slow]")
		})
	})
	t.Run("gets every call event in order once it reads again", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, WriteBytes: 200}, func(t *testing.T, r *rig) {
			s := newSocket()
			_, id := r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
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
			_, state := r.listen(o, stateTopic(1))
			_, call := r.listen(o, callTopic(1))
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
	// A state took the place of an older one whatever their subscriptions: the first of a new one came before the answers
	// that ended the old one and began the new one, and the last of the old one was lost.
	t.Run("gets the states of a subscription behind the answer that begins it", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, o, e, before := r.full(stateTopic(1), "fills the socket")
			r.publish(stateTopic(1), "a,1")
			r.publish(stateTopic(1), "a,2")
			synctest.Wait()
			o.Apply(fanout.Change{Frame: []byte("unsubscribed\n"), Remove: []*subscriptions.Entry{e}})
			st := r.begin(t, o, stateTopic(1))
			r.publish(stateTopic(1), "a,3")
			r.publish(stateTopic(1), "a,4")
			synctest.Wait()
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{
				line(before, 1, "fills the socket"), line(before, 1, "a,2"), "unsubscribed", "subscribed", st.line("a,4"),
			})
			want(t, r.metric(t, "rte_fanout_dropped_total", "conflated"), 2.0)
			st.end()
		})
	})
	// What a socket had begun to take counted in full, so that the next event after an answer of a few megabytes ended a
	// client that was reading it.
	for name, fills := range map[string]bool{"while it takes one large answer": false, "while one large answer waits": true} {
		t.Run("is not slow "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				_, id := r.listen(o, callTopic(1))
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
	// A frame of two bytes takes a hundred, which did not count: 43 times the bound waited.
	t.Run("ends as slow when many small frames wait", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, OutboxBytes: 100_000}, func(t *testing.T, r *rig) {
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
	// What a turn collected in front of a full socket had no bound.
	t.Run("ends as slow when the answers of one turn are too much", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, OutboxBytes: 10_000, WriteBytes: 1000}, func(t *testing.T, r *rig) {
			s, busy := newSocket(), newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
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
			_, id := r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
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
		run(t, fanout.Options{Shards: 1, OutboxAge: 20 * time.Second}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "fills the socket")
			synctest.Wait()
			r.publish(callTopic(1), "waits")
			time.Sleep(31 * time.Second)
			synctest.Wait()
			want(t, r.metric(t, "rte_fanout_dropped_total", "slow"), 1.0)
		})
	})
}

func TestClose(t *testing.T) {
	t.Run("writes what is there, then the final bytes, and leaves nothing behind", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			e, id := r.listen(o, callTopic(1))
			r.publish(callTopic(1), "last")
			synctest.Wait()
			o.Close([]byte("bye\n"), []*subscriptions.Entry{e})
			r.publish(callTopic(1), "too late")
			o.Send([]byte("too late\n"))
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "last"), "bye"})
			want(t, s.ends(), "[closed]")
			want(t, r.registry.Len(), 0)
		})
	})
	t.Run("drops what waits behind a full socket and counts it", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, o, e, id := r.full(callTopic(1), "in flight")
			r.publish(callTopic(1), "waits")
			synctest.Wait()
			o.Close([]byte("bye\n"), []*subscriptions.Entry{e})
			synctest.Wait()
			want(t, s.ends(), "[]")
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "in flight"), "bye"})
			want(t, r.metric(t, "rte_fanout_dropped_total", "closed"), 1.0)
			want(t, s.ends(), "[closed]")
		})
	})
	t.Run("releases what is added to an outbox that has ended", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			o.Close(nil, nil)
			r.listen(o, callTopic(1))
			synctest.Wait()
			want(t, r.registry.Len(), 0)
		})
	})
	t.Run("happens to all outboxes when the dispatcher stops", func(t *testing.T) {
		s, late := newSocket(), newSocket()
		var r *rig
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, running *rig) {
			r = running
			r.listen(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "waits")
			synctest.Wait()
		})
		want(t, s.ends(), "[closed]")
		r.listen(r.Open(late, fanout.ProtocolJSON), callTopic(2))
		r.publish(callTopic(1), "nobody there")
		want(t, late.ends(), "[closed]")
	})
}

func TestSocketFailure(t *testing.T) {
	for name, frozen := range map[string]bool{"while writing": false, "while waiting": true} {
		t.Run("ends the outbox "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				e, _ := r.listen(o, callTopic(1))
				if frozen {
					s.freeze(0)
					r.publish(callTopic(1), "lost")
					synctest.Wait()
					s.fail()
				} else {
					s.fail()
					r.publish(callTopic(1), "lost")
				}
				synctest.Wait()
				want(t, s.ends(), "[failed]")
				want(t, r.metric(t, "rte_fanout_dropped_total", "failed"), 1.0)
				o.Close(nil, []*subscriptions.Entry{e})
				synctest.Wait()
				want(t, r.registry.Len(), 0)
			})
		})
	}
}

func TestKeepAlive(t *testing.T) {
	t.Run("is sent at the times the writer asks for", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			r.Open(s, fanout.ProtocolJSON)
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
			want(t, s.lines(), slices.Repeat([]string{"ping"}, 4))
		})
	})
	t.Run("ends an outbox whose peer is silent", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			s.silent = true
			r.Open(s, fanout.ProtocolJSON)
			time.Sleep(17 * time.Second)
			synctest.Wait()
			want(t, s.lines(), []string{"final silent"})
			want(t, s.ends(), "[silent]")
		})
	})
	t.Run("forgets an outbox that ends with a ping", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, WriteBytes: len("ping\n")}, func(t *testing.T, r *rig) {
			kept := func() weak.Pointer[socket] {
				s := newSocket()
				s.fail()
				o := r.Open(s, fanout.ProtocolJSON)
				time.Sleep(17 * time.Second)
				synctest.Wait()
				want(t, s.ends(), "[failed]")
				o.Close(nil, nil)
				synctest.Wait()
				return weak.Make(s)
			}()
			runtime.GC()
			if kept.Value() != nil {
				t.Error("the connection is kept")
			}
		})
	})
}

func TestSend(t *testing.T) {
	t.Run("refuses a flood that the shard has not taken yet", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, busy := newSocket(), newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
			synctest.Wait()
			release := busy.hold()
			r.publish(callTopic(9), "busy")
			synctest.Wait()
			refused := 0
			for range 1000 {
				if !o.Send([]byte("pong\n")) {
					refused++
				}
			}
			release()
			synctest.Wait()
			if sent := len(s.lines()); sent+refused != 1000 || sent > 100 {
				t.Errorf("%d sent, %d refused", sent, refused)
			}
			want(t, o.Send([]byte("pong\n")), true)
		})
	})
}

func TestRoom(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		s, busy := newSocket(), newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
		synctest.Wait()
		release := busy.hold()
		r.publish(callTopic(9), "busy")
		synctest.Wait()
		changes := 0
		for ; o.Room() && changes < 1000; changes++ {
			o.Apply(fanout.Change{Frame: []byte("answer\n")})
		}
		o.Apply(fanout.Change{Frame: []byte("answer\n")}) // nobody asked for it
		want(t, o.Send([]byte("pong\n")), false)
		release()
		synctest.Wait()
		want(t, o.Room(), true)
		if got := len(s.lines()); got != changes+1 || got > 100 {
			t.Errorf("%d answers after %d changes", got, changes+1)
		}
	})
}

func TestBackPressure(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Backlog: 10}, func(t *testing.T, r *rig) {
		busy := newSocket()
		_, id := r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(1))
		synctest.Wait()
		release := busy.hold()
		dispatched := make(chan int)
		go func() {
			for i := range 100 {
				r.publish(callTopic(1), fmt.Sprint(i))
			}
			close(dispatched)
		}()
		select {
		case <-dispatched:
			t.Error("dispatched 100 events in front of a shard that stands still")
		case <-time.After(time.Second):
		}
		release()
		<-dispatched
		synctest.Wait()
		lines := busy.lines()
		want(t, len(lines), 100)
		want(t, lines[99], line(id, 1, "99"))
	})
}

func TestFairness(t *testing.T) {
	const crowd, perTurn = 2000, 64
	for name, topics := range map[string]int{"through a burst on one topic": 1, "through a burst on many topics": 8} {
		t.Run("a quiet organization is served "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1, Backlog: 1 << 30}, func(t *testing.T, r *rig) {
				var writes []*socket
				noisy := make([]*socket, crowd)
				for i := range noisy {
					noisy[i] = newSocket()
					noisy[i].order = &writes
					o := r.Open(noisy[i], fanout.ProtocolJSON)
					for n := range topics {
						r.listen(o, callTopic(n))
					}
				}
				quiet := newSocket()
				quiet.order = &writes
				topic := events.Topic{Organization: events.ID{7}, Type: 1}
				r.listen(r.Open(quiet, fanout.ProtocolJSON), topic)
				synctest.Wait()
				release := noisy[0].hold()
				for n := range 10 * topics {
					r.publish(callTopic(n%topics), "noise")
				}
				synctest.Wait()
				r.publish(topic, "quiet")
				release()
				synctest.Wait()
				if place := slices.Index(writes, quiet); place < 0 || place > 2*perTurn {
					t.Errorf("%d writes came before the quiet one, a turn has %d", place, perTurn)
				}
				for _, s := range noisy {
					if n := len(s.lines()); n != 10*topics {
						t.Fatalf("%d events, want %d", n, 10*topics)
					}
				}
				// Serving another one in between must not cost the batching.
				if limit := crowd*2 + 200; topics > 1 && len(writes) > limit {
					t.Errorf("%d writes for %d clients", len(writes), crowd)
				}
			})
		})
	}
	t.Run("a full backlog holds up its own organization only", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1, Backlog: 10}, func(t *testing.T, r *rig) {
			quiet, noisy := newSocket(), newSocket()
			topic := events.Topic{Organization: events.ID{7}, Type: 1}
			r.listen(r.Open(quiet, fanout.ProtocolJSON), topic)
			r.listen(r.Open(noisy, fanout.ProtocolJSON), callTopic(1))
			synctest.Wait()
			release := noisy.hold()
			stuck := make(chan struct{})
			go func() {
				for range 50 {
					r.publish(callTopic(1), "noise")
				}
				close(stuck)
			}()
			synctest.Wait()
			passed := make(chan struct{})
			go func() { r.publish(topic, "quiet"); close(passed) }()
			<-passed
			select {
			case <-stuck:
				t.Error("the noisy organization was not held up")
			default:
			}
			release()
			<-stuck
			synctest.Wait()
			want(t, len(noisy.lines()), 50)
			want(t, len(quiet.lines()), 1)
			want(t, r.metric(t, "rte_fanout_backlog_deliveries", ""), 0.0)
		})
	})
}

func TestMetricNames(t *testing.T) {
	problems, err := testutil.GatherAndLint(newRig(t, fanout.Options{}).metrics)
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

// Lanes that were kept for the next organization held on to the last event of the one before.
func TestNothingIsKeptOfEventsThatAreOver(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		topicIsKept := func() weak.Pointer[subscriptions.Entry] {
			o := r.Open(newSocket(), fanout.ProtocolJSON)
			e, _ := r.listen(o, callTopic(1))
			r.publish(callTopic(1), "x")
			synctest.Wait()
			o.Close(nil, []*subscriptions.Entry{e})
			synctest.Wait()
			return weak.Make(e)
		}()
		runtime.GC()
		if topicIsKept.Value() != nil {
			t.Error("the topic is kept")
		}
	})
}

// A ping or an answer touches an outbox in the lane of what is no event. An event that found it touched was counted as
// collected by its own lane, which had nothing to write: after 8 MB of them the shard looked for an outbox that was not
// there.
func TestEventsBehindOtherFramesAreCollectedWhereTheyAreWritten(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		s, busy := newSocket(), newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		_, id := r.listen(o, callTopic(1))
		r.listen(r.Open(busy, fanout.ProtocolJSON), callTopic(99))
		synctest.Wait()
		text := strings.Repeat("x", 50<<10)
		for range 200 {
			release := busy.hold()
			r.publish(callTopic(99), "busy")
			synctest.Wait()
			r.publish(callTopic(1), text)
			o.Send([]byte("answer\n"))
			release()
			synctest.Wait()
			want(t, s.lines(), []string{"answer", line(id, 1, text)})
		}
	})
}
