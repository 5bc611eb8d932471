package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

func everyone(*authz.Claims) bool { return true }

// spans describes the subscriptions of the first session: the seconds from start to their beginnings and ends.
func spans(r *rig, n int, start time.Time) string {
	found, _ := r.Subscribers(topic(n), everyone, 10)
	if len(found) == 0 {
		return "no session"
	}
	at := func(t time.Time) any {
		if t.IsZero() {
			return "-"
		}
		return t.Sub(start).Round(time.Second).Seconds()
	}
	text := fmt.Sprint("closed ", at(found[0].Closed), " ", found[0].Reason)
	for _, s := range found[0].Spans {
		text += fmt.Sprint(", ", at(s.Began), " to ", at(s.Ended), " ", s.Reason)
	}
	return text
}

func TestSubscribers_rememberWhatHasEnded(t *testing.T) {
	run(t, hub.Options{HistoryBytes: 1 << 20}, func(t *testing.T, r *rig) {
		start := time.Now()
		c := r.connect(t)
		step := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := spans(r, 1, start); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			time.Sleep(10 * time.Second)
		}
		step("closed - ")
		c.invoke(t, "1", "Subscribe", items(1, 2))
		step("closed - , 10 to - ")
		c.invoke(t, "2", "Unsubscribe", items(1))
		step("closed - , 10 to 20 unsubscribed")
		c.invoke(t, "3", "Subscribe", items(1))
		step("closed - , 10 to 20 unsubscribed, 30 to - ")
		c.Close(hub.CloseSlow)
		step("closed 40 slow, 10 to 20 unsubscribed, 30 to - ")
		if since := r.Remembered(); since.After(start) {
			t.Errorf("remembers all since %s after the start only", since.Sub(start))
		}
	})
}

func TestSubscribers_forgetTheOldestFirst(t *testing.T) {
	run(t, hub.Options{HistoryBytes: 8 << 10}, func(t *testing.T, r *rig) { // room for about five sessions
		start := time.Now()
		for range 20 {
			c := r.connect(t)
			c.invoke(t, "1", "Subscribe", items(1))
			time.Sleep(10 * time.Second)
			c.Close(hub.CloseGone)
		}
		found, _ := r.Subscribers(topic(1), everyone, 100)
		if len(found) < 2 || len(found) > 6 || found[0].Closed.Sub(start).Round(time.Second) != 200*time.Second {
			t.Errorf("%d sessions, the latest closed after %s", len(found), found[0].Closed.Sub(start))
		}
		if since := r.Remembered().Sub(start); since < 100*time.Second {
			t.Errorf("says to remember all since %s", since)
		}
	})
}

func TestNewIDAt_containsTheTime(t *testing.T) {
	for _, at := range []time.Time{time.UnixMicro(1_764_473_841_999_999), time.UnixMicro(1_764_473_841_000_001)} {
		got, ok := events.NewIDAt(at).Time()
		if !ok || got.Sub(at).Abs() > 2*time.Microsecond {
			t.Errorf("%s became %s", at, got)
		}
	}
	if _, ok := events.NewID().Time(); ok {
		t.Error("a random id has a time")
	}
}
