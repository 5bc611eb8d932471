package backplane

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
)

// DefaultSnapshotMemory is the default bound of the retained states of a node, in bytes.
const DefaultSnapshotMemory = 64 << 20

// reserveParts is the part of the memory that organizations may use only up to their fair part: an eighth.
const reserveParts = 8

// StatesLimit bounds the memory of the states of all lanes, and divides it among organizations.
//
// The fair part of an organization is the memory divided by the number of organizations with states, plus one. Any
// organization may use free memory, except for an eighth that is reserved for those below their fair part. Once the
// reserve is in use, organizations above their fair part give memory back: their lanes remove states with each event
// and in Tidy. A newcomer therefore finds room at once, and the memory of an organization that fills it shrinks to its
// fair part as the others need theirs.
//
// Any goroutine may use it. Only the first and the last state of a lane take a lock.
type StatesLimit struct {
	// Bytes is the bound. 0 or less: no states are retained. It must not change while there are states.
	Bytes int64

	used    atomic.Int64
	full    atomic.Uint64
	evicted atomic.Uint64

	organizations atomic.Int64 // length of parts

	mu    sync.Mutex                // guards the following field and statesPart.lanes
	parts map[events.ID]*statesPart // of organizations with states
}

// statesPart is the memory of one organization.
type statesPart struct {
	organization events.ID
	lanes        int // with states; guarded by StatesLimit.mu
	used         atomic.Int64
}

// Register exports the metrics of the limit.
func (l *StatesLimit) Register(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() uint64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	gauge("rte_backplane_snapshot_bytes", "State events that are retained for snapshots, in bytes.",
		func() float64 { return float64(l.used.Load()) })
	gauge("rte_backplane_snapshot_limit_bytes", "Bound of rte_backplane_snapshot_bytes.",
		func() float64 { return float64(max(0, l.Bytes)) })
	gauge("rte_backplane_snapshot_fair_bytes",
		"Bytes that one organization may retain while others need room: the bound divided by organizations plus one.",
		func() float64 { return float64(max(0, l.fair())) })
	counter("rte_backplane_snapshot_full_total",
		"State events that were not retained for snapshots because there was no room.", l.Full)
	counter("rte_backplane_snapshot_evicted_total",
		"State events that were removed because other organizations needed the room.", l.evicted.Load)
}

// Used returns the bytes in use.
func (l *StatesLimit) Used() int64 { return l.used.Load() }

// Full returns the number of states that were not retained because there was no room.
func (l *StatesLimit) Full() uint64 { return l.full.Load() }

// fair returns the fair part of an organization.
func (l *StatesLimit) fair() int64 { return l.Bytes / (l.organizations.Load() + 1) }

// reserved returns the memory above which organizations must stay within their fair part.
func (l *StatesLimit) reserved() int64 { return l.Bytes - l.Bytes/reserveParts }

// join returns the part of an organization for one more lane with states.
func (l *StatesLimit) join(organization events.ID) *statesPart {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parts == nil {
		l.parts = map[events.ID]*statesPart{}
	}
	p := l.parts[organization]
	if p == nil {
		p = &statesPart{organization: organization}
		l.parts[organization] = p
		l.organizations.Add(1)
	}
	p.lanes++
	return p
}

// leave ends join.
func (l *StatesLimit) leave(p *statesPart) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.lanes--; p.lanes == 0 {
		delete(l.parts, p.organization)
		l.organizations.Add(-1)
	}
}

// take reserves bytes for an organization. It returns false, and counts that, if there is no room.
func (l *StatesLimit) take(p *statesPart, size int64) bool {
	used, of := l.used.Add(size), p.used.Add(size)
	if used <= l.reserved() || used <= l.Bytes && of <= l.fair() {
		return true
	}
	l.give(p, size)
	l.full.Add(1)
	return false
}

// give returns bytes.
func (l *StatesLimit) give(p *statesPart, size int64) {
	l.used.Add(-size)
	p.used.Add(-size)
}

// exceeds reports whether an organization must give memory back.
func (l *StatesLimit) exceeds(p *statesPart) bool {
	return l.used.Load() > l.reserved() && p.used.Load() > l.fair()
}
