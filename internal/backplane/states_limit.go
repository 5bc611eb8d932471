package backplane

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultSnapshotMemory is the default bound of the retained states of a node, in bytes.
const DefaultSnapshotMemory = 64 << 20

// StatesLimit bounds the memory of the states of all lanes, and shares it among organizations. An organization that
// must give memory back removes states with each of its events and in States.Tidy. Any goroutine may use it.
type StatesLimit struct {
	SharedMemory

	full    atomic.Uint64
	evicted atomic.Uint64
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
		func() float64 { return float64(l.Used()) })
	gauge("rte_backplane_snapshot_limit_bytes", "Bound of rte_backplane_snapshot_bytes.",
		func() float64 { return float64(max(0, l.Bytes)) })
	gauge("rte_backplane_snapshot_fair_bytes",
		"Bytes that one organization may retain while others need room: the bound divided by organizations plus one.",
		func() float64 { return float64(l.Fair()) })
	counter("rte_backplane_snapshot_full_total",
		"State events that were not retained for snapshots because there was no room.", l.Full)
	counter("rte_backplane_snapshot_evicted_total",
		"State events that were removed because other organizations needed the room.", l.evicted.Load)
}

// Full returns the number of states that were not retained because there was no room.
func (l *StatesLimit) Full() uint64 { return l.full.Load() }

// take takes bytes for a state. It counts the state if there is no room.
func (l *StatesLimit) take(p *MemoryPart, size int64) bool {
	taken := l.Take(p, size)
	if !taken {
		l.full.Add(1)
	}
	return taken
}
