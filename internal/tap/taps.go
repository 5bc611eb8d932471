package tap

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// ErrFull means that the node has as many taps as it may have.
var ErrFull = errors.New("the node has as many taps as it may have (tap.max)")

// Options configure Taps. Numbers must be positive.
type Options struct {
	Max   int         // taps of this node at a time
	Rate  int         // events per second that one tap copies
	Bytes int         // memory of the copies of one tap that wait
	Short func() bool // reports whether the node is short of memory. nil: never
	// Registerer receives the metrics. nil: none.
	Registerer prometheus.Registerer
}

// Taps are the taps of a node. Any goroutine may call its methods. A nil *Taps has no tap.
type Taps struct {
	options Options
	metrics metrics
	open    atomic.Pointer[[]*Tap] // nil: there is none

	mu sync.Mutex // held while open changes
}

// New returns Taps without a tap.
func New(o Options) *Taps {
	if o.Short == nil {
		o.Short = func() bool { return false }
	}
	t := &Taps{options: o}
	t.metrics = newMetrics(o.Registerer, t)
	return t
}

// Event offers an event to all taps. subscribers is their number on this node. The taps keep nothing of ev. It costs
// one atomic load while there is no tap.
func (t *Taps) Event(ev *events.Event, at time.Time, outcome trace.Outcome, subscribers int) {
	if t == nil {
		return
	}
	if open := t.open.Load(); open != nil {
		offer(*open, ev, at, outcome, subscribers)
	}
}

// offer is apart so that the compiler inlines Event.
func offer(open []*Tap, ev *events.Event, at time.Time, outcome trace.Outcome, subscribers int) {
	for _, tap := range open {
		tap.offer(ev, at, outcome, subscribers)
	}
}

// Limits returns the options: the number of taps, and the bounds of each.
func (t *Taps) Limits() Options { return t.options }

// Full reports whether Open would refuse a tap, and counts the refusal: the caller refuses it.
func (t *Taps) Full() bool {
	if t.Len() < t.options.Max {
		return false
	}
	t.metrics.refused.Inc()
	return true
}

// Open begins a tap. Close must follow. The error is ErrFull.
func (t *Taps) Open(filter Filter) (*Tap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Len() >= t.options.Max {
		t.metrics.refused.Inc()
		return nil, ErrFull
	}
	tap := &Tap{filter: filter, of: t, waiting: wakeup.New()}
	var open []*Tap
	if before := t.open.Load(); before != nil {
		open = slices.Clone(*before)
	}
	open = append(open, tap)
	t.open.Store(&open)
	return tap, nil
}

// remove ends a tap.
func (t *Taps) remove(tap *Tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	open := slices.DeleteFunc(slices.Clone(*t.open.Load()), func(o *Tap) bool { return o == tap })
	if len(open) == 0 {
		t.open.Store(nil)
	} else {
		t.open.Store(&open)
	}
}

// Len returns the number of open taps.
func (t *Taps) Len() int {
	if t == nil {
		return 0
	}
	if open := t.open.Load(); open != nil {
		return len(*open)
	}
	return 0
}
