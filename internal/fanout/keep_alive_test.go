package fanout_test

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rte-server/rte-server/internal/fanout"
)

func TestKeepAlive_followsTheWriter(t *testing.T) {
	t.Run("is sent at the times that the writer returns", func(t *testing.T) {
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
	t.Run("keeps no reference to an outbox that ends with a ping", func(t *testing.T) {
		oneWrite := fanout.OutboxOptions{WriteBytes: len("ping\n")}
		run(t, fanout.Options{Shards: 1, Outbox: oneWrite}, func(t *testing.T, r *rig) {
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

// pinged is a sink with keep-alive.
type pinged struct{ sink }

func (pinged) KeepAlive(time.Time) ([]byte, time.Duration, bool) {
	return pingFrame, 15 * time.Second, true
}

var pingFrame = []byte("ping\n")

// The first keep-alive of many connections took a buffer for each at once: 14 MB for 15,000 connections. The heap kept
// growing by that.
func TestKeepAlive_takesNoBuffers(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		const clients = 5000
		var received atomic.Int64
		for range clients {
			r.Open(pinged{sink{&received}}, fanout.ProtocolJSON)
		}
		elapse(14 * time.Second)
		before := allocatedBytes()
		elapse(2 * time.Second)
		if each := (allocatedBytes() - before) / clients; each > 100 {
			t.Errorf("a ping allocates %d bytes", each)
		}
		want(t, received.Load(), int64(clients*len(pingFrame)))
		before = allocatedBytes()
		elapse(15 * time.Second)
		if each := (allocatedBytes() - before) / clients; each > 10 {
			t.Errorf("a later ping allocates %d bytes", each)
		}
	})
}

// The frame of a keep-alive is shared by all connections: frames behind it must not be written into its memory.
func TestKeepAlive_sharesItsFrame(t *testing.T) {
	run(t, fanout.Options{Shards: 1}, func(t *testing.T, r *rig) {
		s, busy := newSocket(), newSocket()
		o := r.Open(s, fanout.ProtocolJSON)
		_, id := r.subscribe(o, callTopic(1))
		r.subscribe(r.Open(busy, fanout.ProtocolJSON), callTopic(9))
		synctest.Wait()
		shared := append(make([]byte, 0, 100), "answer\n"...)
		release := busy.hold()
		r.publish(callTopic(9), "busy")
		synctest.Wait()
		o.Send(shared)
		o.Send([]byte("second\n"))
		r.publish(callTopic(1), "ring")
		o.Send([]byte("third\n"))
		release()
		synctest.Wait()
		want(t, s.lines(), []string{"answer", "second", "third", line(id, 1, "ring")})
		want(t, string(shared[:cap(shared)][len(shared):][:6]), "\x00\x00\x00\x00\x00\x00")
	})
}
