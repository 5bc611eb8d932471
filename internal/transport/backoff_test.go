package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

func TestBackoff_growsAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backoff{longest: 10 * time.Second}
		user, other := organizationUser{user: events.ID{1}}, organizationUser{user: events.ID{2}}
		expect := func(want time.Duration) {
			t.Helper()
			if got := b.wait(user, time.Now()); got != want {
				t.Errorf("hold %s, want %s", got, want)
			}
		}
		expect(0)
		for _, want := range []time.Duration{
			250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
			10 * time.Second, 10 * time.Second,
		} {
			b.failed(user, time.Now())
			expect(want)
		}
		time.Sleep(9 * time.Second)
		expect(time.Second)
		if got := b.wait(other, time.Now()); got != 0 {
			t.Errorf("another user is held for %s", got)
		}
		time.Sleep(time.Hour)
		expect(0)
		b.failed(user, time.Now())
		expect(250 * time.Millisecond)
	})
}

// Users that fail cannot take more memory than a bound.
func TestBackoff_isBounded(t *testing.T) {
	b, now := &backoff{longest: time.Second}, time.Now()
	for i := range 2 * maxFailing {
		b.failed(organizationUser{user: events.ID{byte(i), byte(i >> 8), byte(i >> 16)}}, now)
	}
	if n := len(b.failing); n > maxFailing {
		t.Errorf("%d users are remembered", n)
	}
	b.failed(organizationUser{organization: events.ID{9}}, now.Add(2*failureMemory))
	if n := len(b.failing); n != 1 {
		t.Errorf("%d users are remembered after their time", n)
	}
	for range maxHeld {
		if !b.enter() {
			t.Fatal("no room to hold a request")
		}
	}
	if b.enter() {
		t.Error("requests are held without a bound")
	}
	b.leave()
	if !b.enter() {
		t.Error("no room after a request was released")
	}
}

func TestPace(t *testing.T) {
	const rate = 100
	var p pace
	for _, step := range []struct {
		n    int
		at   time.Duration
		want time.Duration
	}{
		{1000, 0, 0}, // 10 s ahead
		{1, 0, 10 * time.Millisecond},
		{0, 0, 0},
		{99, time.Second, 0},
		{200, time.Second, 2 * time.Second},
		{1000, time.Hour, 0},
	} {
		if got := p.take(step.n, rate, step.at); got != step.want {
			t.Errorf("%d at %s: wait %s, want %s", step.n, step.at, got, step.want)
		}
	}
	if p.take(1_000_000, -1, time.Hour) != 0 {
		t.Error("no rate is a limit")
	}
	p = pace{}
	allowed := 0
	for range 5000 {
		if p.allow(rate, 0) {
			allowed++
		}
	}
	if allowed != 1000 || !p.allow(rate, 10*time.Millisecond) {
		t.Errorf("%d allowed at once", allowed)
	}
}
