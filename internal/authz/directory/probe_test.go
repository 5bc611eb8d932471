package directory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz/directory"
)

// TestCached_probesItsSource checks that Problem follows the source without any lookup, and that probes are rare while
// lookups show the same.
func TestCached_probesItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := organization()
		s.err = errors.New("away")
		d, err := directory.NewCached(directory.CachedOptions{Source: s})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		expect := func(after time.Duration, want string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := d.Problem(); got != want {
				t.Errorf("problem %q, want %q", got, want)
			}
		}
		fail := func(err error) { s.set(func(s *source) { s.err = err }) }
		expect(time.Minute, "has not answered yet")
		fail(nil)
		expect(5*time.Second, "")
		fail(errors.New("away"))
		expect(30*time.Second, "does not answer")
		fail(nil)
		expect(5*time.Second, "")

		before := s.readings.Load()
		expect(time.Minute, "")
		if n := s.readings.Load() - before; n < 3 || n > 5 {
			t.Errorf("%d probes in a minute, want 4", n)
		}
		before = s.readings.Load()
		for range 60 {
			lookup(t, d, directory.Caller{User: me, Organization: home}, unknownEntity)
			d.Invalidate(directory.Change{All: true})
			time.Sleep(time.Second)
		}
		if n := s.readings.Load() - before; n != 60 {
			t.Errorf("%d readings of 60 lookups: the rest were probes", n)
		}
	})
}
