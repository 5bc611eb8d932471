package memory

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pinnedPart is the part of the limit that memory may take which the garbage collector cannot free. Above it the
	// collector would run all the time.
	pinnedPart = 0.85
	// totalPart is the part of the limit that all memory of the Go runtime may take. The collector keeps it slightly below
	// the limit, where it can.
	totalPart = 1.03
	// groupPart is the part of the limit of the group that all of its memory may take: that of the kernel, too.
	groupPart = 0.95
	// collectInterval is the least time between two collections that a guard starts. A node whose clients have left
	// allocates nothing, so no collection would notice that there is room again.
	collectInterval = 5 * time.Second
	// sampleInterval is the least time between two looks at the memory.
	sampleInterval = 100 * time.Millisecond
)

// Guard reports when memory runs short. Any goroutine may use it. It looks only when it is asked, and at most ten times
// per second.
type Guard struct {
	limit   int64
	group   *Group
	read    func() (pinned, total int64)
	collect func()
	began   time.Time

	looking   sync.Mutex
	collected time.Time // when collect was called last; guarded by looking

	sampled atomic.Int64 // when the latest look was, since began; 0: never
	short   atomic.Bool
}

// NewGuard returns a guard of a limit of the Go runtime, 0 for none, and of a group, nil for none.
func NewGuard(limit int64, group *Group) *Guard {
	return &Guard{limit: limit, group: group, read: readRuntime, collect: runtime.GC, began: time.Now()}
}

// Short reports whether the process has no memory for another client.
func (g *Guard) Short() bool {
	if g.limit <= 0 && g.group == nil {
		return false
	}
	now, last := int64(time.Since(g.began))+1, g.sampled.Load()
	if last == 0 || now-last >= int64(sampleInterval) {
		if g.sampled.CompareAndSwap(last, now) && g.looking.TryLock() {
			g.short.Store(g.lookLocked())
			g.looking.Unlock()
		}
	}
	return g.short.Load()
}

// lookLocked looks at the memory. If that of the Go runtime is short, it collects now and then: the caller, who has to
// be refused otherwise, waits for that.
func (g *Guard) lookLocked() bool {
	if g.limit > 0 && g.runtimeShort() {
		if now := time.Now(); now.Sub(g.collected) >= collectInterval {
			g.collected = now
			g.collect()
		}
		if g.runtimeShort() {
			return true
		}
	}
	if g.group != nil {
		if used, ok := g.group.Used(); ok && exceeds(used, g.group.Limit, groupPart) {
			return true
		}
	}
	return false
}

// runtimeShort reports whether the memory of the Go runtime is close to its limit.
func (g *Guard) runtimeShort() bool {
	pinned, total := g.read()
	return exceeds(pinned, g.limit, pinnedPart) || exceeds(total, g.limit, totalPart)
}

func exceeds(used, limit int64, part float64) bool { return float64(used) > part*float64(limit) }

// readRuntime returns the memory of the Go runtime that the garbage collector could not free when it ran last, and all
// that counts for the limit.
func readRuntime() (pinned, total int64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 { return int64(samples[i].Value.Uint64()) } //nolint:gosec // bytes of this process
	total = value(0) - value(1)
	// Everything but the heap is pinned: stacks and what the runtime needs itself.
	return total - value(2) - value(3) - value(4) + value(5), total
}
