package directory

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// Readings come and are given up at random. Afterwards all slots are free and none waits.
func TestSlots_areGivenBack(t *testing.T) {
	const n = 3
	s := newSlots(n)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			owner := slotOwner{events.ID{byte(i % 3)}, events.ID{byte(i % 5)}}
			for range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					cancel()
				}
				if s.occupy(ctx, owner) == nil {
					runtime.Gosched()
					s.vacate(owner)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if s.free != n || len(s.occupied) != 0 || len(s.waiting) != 0 {
		t.Errorf("%d slots are free, %d users have some, %d organizations wait", s.free, len(s.occupied), len(s.waiting))
	}
}
