package fanout_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/fanout"
)

func TestDelay_isThatOfTheOldestBytesTheSocketHasNotTaken(t *testing.T) {
	run(t, fanout.Options{}, func(t *testing.T, r *rig) {
		topic := callTopic(1)
		s, o, _, _ := r.full(topic, "first")
		time.Sleep(3 * time.Second)
		r.publish(topic, "second")
		synctest.Wait()
		if got := o.Delay(time.Now()); got != 3*time.Second {
			t.Errorf("a full socket is behind by %s, want 3s", got)
		}
		time.Sleep(2 * time.Second)
		s.freeze(-1)
		synctest.Wait()
		if got := o.Delay(time.Now()); got != 0 {
			t.Errorf("a socket that has taken everything is behind by %s", got)
		}
	})
}
