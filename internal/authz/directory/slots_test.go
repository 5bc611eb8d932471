package directory_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
)

// Forty connections of one user took all readings, and Subscribe of another organization needed 436 ms instead of 33.
func TestCached_sharesReadingsFairly(t *testing.T) {
	const reading = 33 * time.Millisecond
	neighbour := directory.Caller{User: colleague, Organization: home}
	for name, test := range map[string]struct {
		caller directory.Caller
		most   time.Duration // longest time that its lookup may take
	}{
		"of another organization": {agentOfForeign, reading},
		"of a colleague":          {neighbour, reading},
		"of the same user":        {agentOfHome, 8 * reading},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{delay: reading}
				d := mustCached(t, directory.CachedOptions{Source: s})
				var busy sync.WaitGroup
				for range 40 {
					busy.Go(func() { lookup(t, d, agentOfHome, events.NewID()) })
				}
				synctest.Wait()
				start := time.Now()
				lookup(t, d, test.caller, events.NewID())
				if took := time.Since(start); took > test.most {
					t.Errorf("took %v", took)
				}
				busy.Wait()
				if most := s.most.Load(); most > 9 {
					t.Errorf("%d readings at a time, want 8 of one user", most)
				}
			})
		})
	}
}

// When all readings are taken by users of one organization, those that end go to the organizations in turn.
func TestCached_organizationsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{delay: time.Second}
		d := mustCached(t, directory.CachedOptions{Source: s, Concurrency: 2, Timeout: time.Minute})
		var all sync.WaitGroup
		for n := range 20 { // users
			all.Go(func() {
				lookup(t, d, directory.Caller{User: events.ID{byte(n)}, Organization: home}, events.NewID())
			})
		}
		synctest.Wait()
		start := time.Now()
		for range 2 {
			lookup(t, d, agentOfForeign, events.NewID())
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("two lookups took %v", took)
		}
		all.Wait()
	})
}
