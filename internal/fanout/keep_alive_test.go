package fanout_test

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rte-server/rte-server/internal/fanout"
)

func TestKeepAlive(t *testing.T) {
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
