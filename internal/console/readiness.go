package console

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// Readiness reports whether this node should get new connections. It begins in the state starting, is ready or
// degraded afterwards, and ends in the state draining. It never returns to starting; an operator may drain it for a
// while. Its methods may be called from any goroutine.
type Readiness struct {
	checks []Check // static after construction
	phase  atomic.Uint32
}

// Check watches a condition that a node needs to work well. A node starts until each check has passed once. A check
// that fails later does not make the node unready: an outage of Redis, which all nodes share, would otherwise make the
// load balancer refuse all clients of all nodes at once.
type Check struct {
	// Name is short and fixed, such as "backplane". It is also a metric label.
	Name string
	// Problem describes the problem in a few words; empty if there is none. It must return at once.
	Problem func() string
	// Useless reports whether the node can serve no client at all because of the problem, so that the wait of a starting
	// node has no limit. It must return at once. nil: never.
	Useless func() bool
}

// Report is the state of a Readiness, as /readyz answers it.
type Report struct {
	// State is one of the constants below.
	State string `json:"state"`
	// Degraded lists the failing checks. A starting node waits for them.
	Degraded []Problem `json:"degraded,omitempty"`
}

// Problem is the result of a failing check.
type Problem struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// The states of a Report.
const (
	StateStarting = "starting" // wants no connections: a check has not passed yet
	StateReady    = "ready"    // wants connections
	StateDegraded = "degraded" // wants connections, unless another node is ready
	StateDraining = "draining" // wants no connections: the node stops
)

// The phases of a node, in order.
const (
	phaseStarting uint32 = iota
	phaseServing
	phasePaused // draining, but not for good
	phaseDraining
)

// checkInterval is the time between two looks at the checks of a starting node.
const checkInterval = 50 * time.Millisecond

// NewReadiness makes a Readiness in the state starting.
func NewReadiness(checks ...Check) *Readiness { return &Readiness{checks: checks} }

// Await waits until each check has passed once, and then calls Ready. After the timeout it waits only for problems that
// make the node useless; 0 is no timeout. It calls notify once, at the timeout or when the node is ready, with the
// problems that are left. It returns early if ctx ends.
func (r *Readiness) Await(ctx context.Context, timeout time.Duration, notify func([]Problem)) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	began := time.Now()
	waiting := slices.Clone(r.checks)
	for {
		var problems []Problem
		useless := false
		waiting = slices.DeleteFunc(waiting, func(c Check) bool {
			detail := c.Problem()
			if detail != "" {
				problems = append(problems, Problem{Check: c.Name, Detail: detail})
				useless = useless || c.Useless != nil && c.Useless()
			}
			return detail == ""
		})
		late := timeout > 0 && time.Since(began) >= timeout
		ready := len(waiting) == 0 || late && !useless
		if ready {
			r.Ready()
		}
		if notify != nil && (ready || late) {
			notify(problems)
			notify = nil
		}
		if ready {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Ready ends the state starting. It does nothing in any other state.
func (r *Readiness) Ready() { r.phase.CompareAndSwap(phaseStarting, phaseServing) }

// Pause changes the state from ready or degraded to draining, or back if paused is false. It does nothing in any other
// state.
func (r *Readiness) Pause(paused bool) {
	if paused {
		r.phase.CompareAndSwap(phaseServing, phasePaused)
	} else {
		r.phase.CompareAndSwap(phasePaused, phaseServing)
	}
}

// Draining changes the state to draining, for good.
func (r *Readiness) Draining() { r.phase.Store(phaseDraining) }

// Report returns the current state and runs the checks.
func (r *Readiness) Report() Report {
	var report Report
	for _, check := range r.checks {
		if detail := check.Problem(); detail != "" {
			report.Degraded = append(report.Degraded, Problem{Check: check.Name, Detail: detail})
		}
	}
	switch phase := r.phase.Load(); {
	case phase == phaseStarting:
		report.State = StateStarting
	case phase == phasePaused || phase == phaseDraining:
		report.State = StateDraining
	case len(report.Degraded) > 0:
		report.State = StateDegraded
	default:
		report.State = StateReady
	}
	return report
}

// isReady reports whether the node should get new connections.
func (r *Readiness) isReady() bool { return r.phase.Load() == phaseServing }
