package redis

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/backplane/sequence"
)

// A read that failed is repeated, unless its lane needs another one by now: the lane would ignore the page, and hold
// back its events for ever.
func TestJournal_keepsTheLaterRead(t *testing.T) {
	j, one, two := newJournal(), &lane{}, &lane{}
	j.add(one, sequence.Read{Generation: 1, Count: 1})
	j.add(two, sequence.Read{Generation: 1, Count: 1})
	failed := j.take(2)
	j.add(one, sequence.Read{Generation: 2, Count: 1})
	j.putBack(failed)
	got := map[*lane]uint64{}
	for _, r := range j.take(3) {
		if got[r.lane] != 0 {
			t.Error("a lane has two reads")
		}
		got[r.lane] = r.Generation
	}
	if diff := cmp.Diff([]uint64{2, 1}, []uint64{got[one], got[two]}); diff != "" {
		t.Errorf("generations: -want +got\n%s", diff)
	}
}

// The loop that reads journals finds the read that it was woken for. Without it, the read would wait for another lane.
func TestJournal_wakesOnceTheReadIsThere(t *testing.T) {
	for name, queue := range map[string]func(*journal){
		"Added":   func(j *journal) { j.add(&lane{}, sequence.Read{}) },
		"PutBack": func(j *journal) { j.putBack([]laneRead{{lane: &lane{}}}) },
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal()
			j.mu.Lock() // nothing can be queued
			queued := make(chan struct{})
			go func() {
				defer close(queued)
				queue(j)
			}()
			for range 1000 {
				runtime.Gosched()
			}
			if j.work.Clear() {
				t.Error("the loop wakes before the read is there")
			}
			j.mu.Unlock()
			<-queued
			if !j.work.Clear() || len(j.take(1)) != 1 {
				t.Error("the loop does not wake")
			}
		})
	}
}
