package hub

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

func isGranted(r *reservation) bool {
	select {
	case <-r.granted:
		return true
	default:
		return false
	}
}

func ownerOf(organization, user byte) fanout.Owner {
	return fanout.Owner{Organization: events.ID{organization}, User: events.ID{user}}
}

func TestAnswerMemory_boundsUserOrganizationAndNode(t *testing.T) {
	const part = 1 << 20
	m := newAnswerMemory(8 * part)
	first, second := m.enter(ownerOf(1, 1), part), m.enter(ownerOf(1, 1), part) // of one user
	if !isGranted(first) || isGranted(second) {
		t.Error("a user has more than an eighth")
	}
	third, fourth := m.enter(ownerOf(1, 2), part), m.enter(ownerOf(1, 3), part) // of the organization
	if !isGranted(third) || isGranted(fourth) {
		t.Error("an organization has more than a quarter")
	}
	var others []*reservation
	for n := range byte(8) {
		others = append(others, m.enter(ownerOf(2+n, 1), part))
	}
	if !isGranted(others[5]) || isGranted(others[6]) {
		t.Error("all together have more than the limit")
	}
	third.release()
	if !isGranted(others[6]) || isGranted(fourth) {
		t.Error("the memory went to the organization that waits at the bound of all behind another one")
	}
	first.release()
	if isGranted(second) || !isGranted(others[7]) {
		t.Error("the longest waiting one was not the first")
	}
	for _, r := range append(others, second, fourth) {
		r.release()
	}
	if m.used() != 0 || len(m.users)+len(m.organizations) != 0 {
		t.Errorf("%d bytes, %d users and %d organizations are left", m.used(), len(m.users), len(m.organizations))
	}
}

func TestAnswerMemory_grantsTheLargestAnswerAlone(t *testing.T) {
	m := newAnswerMemory(1 << 20)
	small := m.enter(ownerOf(1, 1), 20<<10)
	large := m.enter(ownerOf(2, 1), 4<<20)
	behind := m.enter(ownerOf(3, 1), 20<<10)
	if !isGranted(small) || isGranted(large) || isGranted(behind) {
		t.Error("the large one must wait, and others behind it")
	}
	small.release()
	if !isGranted(large) || isGranted(behind) {
		t.Error("the large one must be alone")
	}
	large.release()
	if !isGranted(behind) {
		t.Error("the memory of the large one was not given back")
	}
	behind.release()
}

func TestAnswerMemory_givesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, waited := newAnswerMemory(1<<20), prometheus.NewCounter(prometheus.CounterOpts{})
		held := m.enter(ownerOf(1, 1), 1<<20)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := m.reserve(ctx, ownerOf(1, 1), 1<<20, waited)
			ended <- err
		}()
		synctest.Wait()
		behind := m.enter(ownerOf(1, 1), 1<<20)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("reserve returned %v", err)
		}
		if r, err := m.reserve(ctx, ownerOf(1, 1), smallAnswer, waited); err != nil {
			t.Errorf("a small answer waits: %v", err)
		} else {
			r.release()
		}
		held.release()
		if !isGranted(behind) {
			t.Error("the one behind it still waits")
		}
		behind.release()
		if m.used() != 0 || len(m.users) != 0 {
			t.Errorf("%d bytes are left", m.used())
		}
	})
}

// Many users of few organizations reserve and give up. Nothing is ever above its bound, and nothing is left.
func TestAnswerMemory_keepsItsBoundsAtRandom(t *testing.T) {
	const limit = 1 << 20
	m, waited := newAnswerMemory(limit), prometheus.NewCounter(prometheus.CounterOpts{})
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					cancel()
				}
				r, err := m.reserve(ctx, ownerOf(byte(n%3), byte(n%5)), rand.IntN(limit/userParts), waited)
				if used := m.used(); used > limit {
					t.Errorf("%d bytes are reserved", used)
				}
				if err == nil {
					r.release()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if m.used() != 0 || len(m.users)+len(m.organizations) != 0 {
		t.Errorf("%d bytes, %d users and %d organizations are left", m.used(), len(m.users), len(m.organizations))
	}
}
