package hub_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// openFor opens a session of an organization.
func (r *rig) openFor(t *testing.T, c *conn, organization events.ID) *client {
	t.Helper()
	s, err := r.Open(c, &authz.Claims{Organization: organization, Role: authz.RoleAgent})
	if err != nil {
		t.Fatal(err)
	}
	return &client{s, c}
}

// A drain closed sessions in a random order, and round robin would have closed a small organization within its first
// seconds. Each organization loses its clients at an even pace, whatever its size.
func TestDrain_isEvenForEachOrganization(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		const seconds = 60
		sizes := map[events.ID]int{{1}: 600, {2}: 60, {3}: 6}
		start := time.Now()
		var mu sync.Mutex
		ends := map[events.ID][]time.Duration{}
		for organization, size := range sizes {
			for range size {
				r.openFor(t, &conn{onFrame: func(string) {
					mu.Lock()
					defer mu.Unlock()
					ends[organization] = append(ends[organization], time.Since(start))
				}}, organization)
			}
		}
		if err := r.Drain(t.Context(), hub.Pace{Over: seconds * time.Second}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for organization, size := range sizes {
			const window = 10 // seconds
			for from := range seconds - window + 1 {
				n := 0
				for _, end := range ends[organization] {
					if s := end.Seconds(); s >= float64(from) && s < float64(from+window) {
						n++
					}
				}
				even := size * window / seconds
				if n < even-1 || n > even+2 {
					t.Errorf("%d of %d sessions ended within %d s from %d s, want about %d", n, size, window, from, even)
				}
			}
		}
	})
}

func TestDrain_notifiesClientsBeforeTheirEnd(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		start := time.Now()
		var mu sync.Mutex
		var notices, ends []time.Duration
		for range 60 {
			r.connectWith(t, &conn{features: hub.Features{Notices: true}, onFrame: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(line, `Closing {"reason":"drain","at":"`) {
					notices = append(notices, time.Since(start))
				} else {
					ends = append(ends, time.Since(start))
				}
			}})
		}
		if err := r.Drain(t.Context(), hub.Pace{Over: time.Minute}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(notices) != 60 || len(ends) != 60 {
			t.Fatalf("%d notices and %d ends", len(notices), len(ends))
		}
		for i := range notices {
			if lead := (ends[i] - notices[i]).Round(time.Millisecond); lead != 5*time.Second {
				t.Errorf("client %d: %v from notice to end", i, lead)
			}
		}
		if last := ends[59]; last > time.Minute {
			t.Errorf("the last client ended after %v", last)
		}
	})
}

func TestDrain_pausesWhileItMust(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		for range 10 {
			r.connect(t)
		}
		start := time.Now()
		hold := func() bool { since := time.Since(start); return since > 5*time.Second && since < 35*time.Second }
		var draining sync.WaitGroup
		draining.Go(func() {
			if err := r.Drain(t.Context(), hub.Pace{Over: 10 * time.Second, Hold: hold}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(34 * time.Second)
		if n := r.Sessions().Len(); n != 4 {
			t.Errorf("%d sessions are open in the pause, want 4", n)
		}
		draining.Wait()
		if took := time.Since(start); took < 38*time.Second || took > 40*time.Second {
			t.Errorf("took %v, want the time of the pause more", took)
		}
	})
}

func TestShed_closesANumberAndCanBeCancelled(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		for n := range 40 {
			r.openFor(t, &conn{}, events.ID{byte(n % 4)})
		}
		if n := r.Shed(t.Context(), 8, hub.CloseShed, hub.Pace{Over: 8 * time.Second}); n != 8 {
			t.Errorf("closed %d, want 8", n)
		}
		byOrganization := map[events.ID]int{}
		for s := range r.Sessions().All() {
			byOrganization[s.Claims().Organization]++
		}
		for organization, n := range byOrganization {
			if n != 8 {
				t.Errorf("%d of 10 sessions of %v are left, want 8", n, organization)
			}
		}
		r.connect(t) // others may come
		ctx, cancel := context.WithTimeout(t.Context(), 4500*time.Millisecond)
		defer cancel()
		if n := r.Shed(ctx, 1000, hub.CloseShed, hub.Pace{Over: 33 * time.Second}); n != 5 {
			t.Errorf("closed %d until it was cancelled, want 5", n)
		}
		if n := r.Sessions().Len(); n != 28 {
			t.Errorf("%d sessions are open, want 28", n)
		}
	})
}
