package fanout

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBacklog_holdsBackCallers(t *testing.T) {
	const limit = 10
	t.Run("does not block up to the limit", func(t *testing.T) {
		b := newBacklog()
		b.add(limit)
		if b.wait(limit, nil) {
			t.Error("waited")
		}
	})
	t.Run("wakes all waiters once there is room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBacklog()
			b.add(limit + 2)
			var waiting sync.WaitGroup
			start := time.Now()
			for range 5 {
				waiting.Go(func() {
					if !b.wait(limit, nil) {
						t.Error("did not wait")
					}
				})
			}
			time.Sleep(time.Second)
			b.done(1, limit)
			time.Sleep(time.Second)
			b.done(1, limit)
			waiting.Wait()
			if waited := time.Since(start); waited != 2*time.Second {
				t.Errorf("waited %v", waited)
			}
		})
	})
	t.Run("returns when stop is closed", func(t *testing.T) {
		b := newBacklog()
		b.add(limit + 1)
		stop := make(chan struct{})
		close(stop)
		b.wait(limit, stop)
	})
}
