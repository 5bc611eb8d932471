package tap

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// Reason names why a tap did not copy an event.
type Reason uint8

// The reasons.
const (
	Sampled Reason = iota // outside of the sample
	AboveRate
	QueueFull
	MemoryShort // the node is short of memory
	NumReasons
)

// String returns the name of the reason, for operators and metrics.
func (r Reason) String() string {
	return [NumReasons]string{"sampled", "rate", "queue", "memory"}[r]
}

// Copy is an event and its outcome on this node.
type Copy struct {
	events.Event // its Data is a copy; nil: Filter.WithoutData

	At          time.Time // time of the node's decision
	Outcome     trace.Outcome
	Subscribers int
	Size        int // of the data in bytes
}

// copyBytes is the memory of a copy besides its data.
const copyBytes = 256

// Dropped counts the events that a tap did not copy, by reason.
type Dropped [NumReasons]uint64

// Tap copies the events that its filter selects. Taps.Open makes it.
type Tap struct {
	filter  Filter
	of      *Taps
	waiting wakeup.Signal
	dropped [NumReasons]atomic.Uint64 // since the last Take
	short   atomic.Bool               // the node was short of memory at the last Take
	closed  sync.Once

	mu    sync.Mutex // guards the following fields; held at most for the copy of one event
	queue []Copy
	bytes int
	spent int   // events in the second
	now   int64 // the second of the latest event, since 1970
}

// offer copies an event that the filter selects. It does not wait.
func (t *Tap) offer(ev *events.Event, at time.Time, outcome trace.Outcome, subscribers int) {
	switch {
	case !t.filter.matches(ev, outcome):
	case !t.filter.sampled(ev):
		t.drop(Sampled)
	case t.short.Load():
		t.drop(MemoryShort)
	default:
		if why, dropped := t.add(ev, at, outcome, subscribers); dropped {
			t.drop(why)
		}
	}
}

func (t *Tap) drop(why Reason) {
	t.dropped[why].Add(1)
	t.of.metrics.dropped[why].Inc()
}

// add puts a copy into the queue, with a copy of its data, which the caller will use again.
func (t *Tap) add(ev *events.Event, at time.Time, outcome trace.Outcome, subscribers int) (why Reason, dropped bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if second := at.Unix(); second != t.now {
		t.now, t.spent = second, 0
	}
	if t.spent >= t.of.options.Rate {
		return AboveRate, true
	}
	c := Copy{Event: *ev, At: at, Outcome: outcome, Subscribers: subscribers, Size: len(ev.Data)}
	if c.Data = nil; !t.filter.WithoutData {
		c.Data = ev.Data
	}
	size := copyBytes + len(c.Data)
	if t.bytes+size > t.of.options.Bytes {
		return QueueFull, true
	}
	t.spent++
	t.bytes += size
	c.Data = bytes.Clone(c.Data)
	t.queue = append(t.queue, c)
	t.of.metrics.copied.Inc()
	t.waiting.Set()
	return 0, false
}

// Waiting returns the Go channel that receives when copies wait.
func (t *Tap) Waiting() <-chan struct{} { return t.waiting.C() }

// Take returns the waiting copies, and the numbers of events dropped since the last call. Call it at least each second.
func (t *Tap) Take() (copies []Copy, dropped Dropped) {
	t.mu.Lock()
	copies, t.queue, t.bytes = t.queue, nil, 0
	t.mu.Unlock()
	t.short.Store(t.of.options.Short())
	for why := range dropped {
		dropped[why] = t.dropped[why].Swap(0)
	}
	return copies, dropped
}

// Close ends the tap. Further calls do nothing.
func (t *Tap) Close() { t.closed.Do(func() { t.of.remove(t) }) }
