package fanout

import (
	"testing"
	"time"
)

func TestRate_allowsABurstOfOneSecond(t *testing.T) {
	var r rate
	taken := func(now time.Duration) (n int) {
		for r.take(now, 100) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		at   time.Duration
		want int
	}{
		{time.Hour, 100}, // a second's worth at once
		{time.Hour, 0},
		{time.Hour + 5*time.Millisecond, 0},
		{time.Hour + 10*time.Millisecond, 1},
		{time.Hour + 510*time.Millisecond, 50},
		{2 * time.Hour, 100}, // nothing is saved up beyond that
	} {
		if got := taken(step.at); got != step.want {
			t.Errorf("at %v: %d allowed, want %d", step.at, got, step.want)
		}
	}
	if free := r.delay(2*time.Hour+4*time.Millisecond, 100); free != 6*time.Millisecond {
		t.Errorf("delay %v, want 6ms", free)
	}
	if free := r.delay(3*time.Hour, 100); free != 0 {
		t.Errorf("delay %v, want 0", free)
	}
}
