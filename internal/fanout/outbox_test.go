package fanout_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rte-server/rte-server/internal/fanout"
)

func TestClose_endsTheOutbox(t *testing.T) {
	t.Run("writes collected frames, then the final bytes, and releases everything", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			e, id := r.subscribe(o, callTopic(1))
			r.publish(callTopic(1), "last")
			synctest.Wait()
			o.Close([]byte("bye\n"), []*fanout.Entry{e})
			r.publish(callTopic(1), "too late")
			o.Send([]byte("too late\n"))
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "last"), "bye"})
			want(t, s.ends(), "[closed]")
			want(t, r.Topics(), 0)
		})
	})
	t.Run("drops and counts frames behind a full socket", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, o, e, id := r.full(callTopic(1), "in flight")
			r.publish(callTopic(1), "waits")
			synctest.Wait()
			o.Close([]byte("bye\n"), []*fanout.Entry{e})
			synctest.Wait()
			want(t, s.ends(), "[]")
			s.freeze(-1)
			synctest.Wait()
			want(t, s.lines(), []string{line(id, 1, "in flight"), "bye"})
			want(t, r.metric(t, "rte_fanout_dropped_total", "closed"), 1.0)
			want(t, s.ends(), "[closed]")
		})
	})
	t.Run("releases additions to an outbox that has ended", func(t *testing.T) {
		run(t, fanout.Options{}, func(t *testing.T, r *rig) {
			s := newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			o.Close(nil, nil)
			r.subscribe(o, callTopic(1))
			synctest.Wait()
			want(t, r.Topics(), 0)
		})
	})
	t.Run("happens to all outboxes when the dispatcher stops", func(t *testing.T) {
		s, late := newSocket(), newSocket()
		var r *rig
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, running *rig) {
			r = running
			r.subscribe(r.Open(s, fanout.ProtocolJSON), callTopic(1))
			s.freeze(0)
			r.publish(callTopic(1), "waits")
			synctest.Wait()
		})
		want(t, s.ends(), "[closed]")
		r.subscribe(r.Open(late, fanout.ProtocolJSON), callTopic(2))
		r.publish(callTopic(1), "no outbox there")
		want(t, late.ends(), "[closed]")
	})
}

func TestSocketFailure_endsTheOutbox(t *testing.T) {
	for name, frozen := range map[string]bool{"while writing": false, "while waiting": true} {
		t.Run("ends the outbox "+name, func(t *testing.T) {
			run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
				s := newSocket()
				o := r.Open(s, fanout.ProtocolJSON)
				e, _ := r.subscribe(o, callTopic(1))
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
				o.Close(nil, []*fanout.Entry{e})
				synctest.Wait()
				want(t, r.Topics(), 0)
			})
		})
	}
}

func TestSend_refusesAFlood(t *testing.T) {
	t.Run("while the shard is busy", func(t *testing.T) {
		run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
			s, busy := newSocket(), newSocket()
			o := r.Open(s, fanout.ProtocolJSON)
			r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
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

// A large frame is not copied behind the others that wait for their write. It must not overtake them.
func TestApply_keepsTheOrderOfLargeFrames(t *testing.T) {
	run(t, fanout.Options{Shards: 1, Outbox: fanout.OutboxOptions{WriteBytes: 1 << 10}}, func(t *testing.T, r *rig) {
		other, s := newSocket(), newSocket()
		busy, o := r.Open(other, fanout.ProtocolJSON), r.Open(s, fanout.ProtocolJSON)
		synctest.Wait()
		release := other.hold()
		busy.Apply(fanout.Change{Frame: []byte("holds up the shard\n")})
		large := strings.Repeat("x", 2<<10)
		for _, frame := range []string{"first", large, "last"} {
			o.Apply(fanout.Change{Frame: []byte(frame + "\n")})
		}
		release()
		synctest.Wait()
		want(t, s.lines(), []string{"first", large, "last"})
	})
}

// The memory of a pong serves the next one, of any client, while the rest of the first still waits for its socket.
func TestSend_keepsWhatAFullSocketHasNotTaken(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		full, other := newSocket(), newSocket()
		behind, ahead := r.Open(full, fanout.ProtocolJSON), r.Open(other, fanout.ProtocolJSON)
		full.freeze(3)
		behind.Send([]byte("pong one\n"))
		synctest.Wait()
		for range 20 {
			ahead.Send([]byte("PONG TWO\n"))
			synctest.Wait()
		}
		full.freeze(-1)
		synctest.Wait()
		want(t, full.lines(), []string{"pong one"})
		want(t, other.count("PONG TWO\n"), 20)
	})
}
