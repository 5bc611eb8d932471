package trace

import (
	"runtime"
	"sync/atomic"
)

// ring holds the latest records of one kind. Any goroutine may use it. A writer that finds it in use does not wait.
type ring[T any] struct {
	busy atomic.Bool // set while a goroutine uses the following fields
	next int         // place of the next record
	full bool        // every place has a record
	kept []T         // static length

	replaced uint64 // records that newer ones replaced
	_        [64]byte
}

// add adds a record unless another goroutine uses the ring. It reports whether it did.
func (r *ring[T]) add(record *T) bool {
	if r.busy.Load() || !r.busy.CompareAndSwap(false, true) {
		return false
	}
	if r.full {
		r.replaced++
	}
	r.kept[r.next] = *record
	if r.next++; r.next == len(r.kept) {
		r.next, r.full = 0, true
	}
	r.busy.Store(false)
	return true
}

// enter waits until no other goroutine uses the ring. leave must follow soon.
func (r *ring[T]) enter() {
	for !r.busy.CompareAndSwap(false, true) {
		runtime.Gosched()
	}
}

func (r *ring[T]) leave() { r.busy.Store(false) }

// scanPart is the number of records that a reader looks at while it has a ring: some 20 us.
const scanPart = 2048

// scan calls each with the records, the newest first, until each returns false. Records that come meanwhile are left
// out. each must neither keep the pointer nor use the log.
func (r *ring[T]) scan(each func(*T) bool) {
	r.enter()
	n, at, before := r.length(), r.next, r.written()
	r.leave()
	for seen := 0; seen < n; {
		r.enter()
		fresh := int(r.written() - before) //nolint:gosec // what comes during one scan
		for end := min(seen+scanPart, n, len(r.kept)-fresh); seen < end; seen++ {
			if at--; at < 0 {
				at = len(r.kept) - 1
			}
			if !each(&r.kept[at]) {
				r.leave()
				return
			}
		}
		done := seen+fresh >= len(r.kept) // newer records have replaced the rest
		r.leave()
		if done {
			return
		}
	}
}

// length returns the number of records. The caller has entered the ring.
func (r *ring[T]) length() int {
	if r.full {
		return len(r.kept)
	}
	return r.next
}

// written returns the number of records that were ever added. The caller has entered the ring.
func (r *ring[T]) written() uint64 { return r.replaced + uint64(r.length()) } //nolint:gosec // a length

// counts returns how many records the ring has, and how many newer ones replaced.
func (r *ring[T]) counts() (length int, replaced uint64) {
	r.enter()
	defer r.leave()
	return r.length(), r.replaced
}

// oldest returns a copy of the oldest record. ok is false while no record has been replaced: the ring has all of them.
func (r *ring[T]) oldest() (record T, ok bool) {
	r.enter()
	defer r.leave()
	if r.replaced == 0 {
		return record, false
	}
	return r.kept[r.next], true
}
