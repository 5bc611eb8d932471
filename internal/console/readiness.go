package console

import "sync/atomic"

// Readiness reports whether this node should get new connections. Its state goes from starting to ready to stopping,
// and never back. Its methods may be called from any goroutine.
type Readiness struct {
	checks []Check // static after construction
	state  atomic.Uint32
}

// Check watches a condition that a node needs to work well. A failing check does not make the node unready: an outage
// of Redis, which all nodes share, would otherwise make the load balancer refuse all clients of all nodes at once.
type Check struct {
	// Name is short and fixed, such as "backplane". It is also a metric label.
	Name string
	// Problem describes the problem in a few words; empty if there is none. It must return at once.
	Problem func() string
}

// Report is the state of a Readiness, as /readyz answers it.
type Report struct {
	// State is "starting", "ready" or "stopping".
	State string `json:"state"`
	// Degraded lists the failing checks.
	Degraded []Problem `json:"degraded,omitempty"`
}

// Problem is the result of a failing check.
type Problem struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// The states of a node, in order.
const (
	stateStarting uint32 = iota
	stateReady
	stateStopping
)

// NewReadiness makes a Readiness in the state starting.
func NewReadiness(checks ...Check) *Readiness { return &Readiness{checks: checks} }

// Ready changes the state from starting to ready. It does nothing in any other state.
func (r *Readiness) Ready() { r.state.CompareAndSwap(stateStarting, stateReady) }

// Stopping changes the state to stopping, for good.
func (r *Readiness) Stopping() { r.state.Store(stateStopping) }

// Report returns the current state and runs the checks.
func (r *Readiness) Report() Report {
	report := Report{State: [...]string{"starting", "ready", "stopping"}[r.state.Load()]}
	for _, check := range r.checks {
		if detail := check.Problem(); detail != "" {
			report.Degraded = append(report.Degraded, Problem{Check: check.Name, Detail: detail})
		}
	}
	return report
}

// isReady reports whether the node should get new connections.
func (r *Readiness) isReady() bool { return r.state.Load() == stateReady }
