package console

import "sync/atomic"

// Readiness says whether this node should get new connections. It begins as starting, becomes ready once and stopping
// once; nothing leads back from stopping. Its methods may be called from any goroutine.
type Readiness struct {
	checks []Check // static after construction
	state  atomic.Uint32
}

// Check watches something that a node needs to do its work well, and without which it still serves: a node does not
// stop being ready because a check fails, or an outage of what all nodes share would make the load balancer turn
// away every client of every node at once.
type Check struct {
	// Name is short and fixed, such as "backplane". It is also a metric label.
	Name string
	// Problem says in a few words what is wrong; empty: nothing. It must answer at once.
	Problem func() string
}

// Report is a Readiness at one moment, as /readyz answers it.
type Report struct {
	// State is "starting", "ready" or "stopping".
	State string `json:"state"`
	// Degraded lists the checks that see a problem.
	Degraded []Problem `json:"degraded,omitempty"`
}

// Problem is what a check sees.
type Problem struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// The states of a node, in the order in which it goes through them.
const (
	stateStarting uint32 = iota
	stateReady
	stateStopping
)

// NewReadiness makes a Readiness that is starting.
func NewReadiness(checks ...Check) *Readiness { return &Readiness{checks: checks} }

// Ready says that the node takes connections. It does nothing once the node is stopping.
func (r *Readiness) Ready() { r.state.CompareAndSwap(stateStarting, stateReady) }

// Stopping says that the node wants no new connections any more.
func (r *Readiness) Stopping() { r.state.Store(stateStopping) }

// Report is the state now, with the problems that the checks see.
func (r *Readiness) Report() Report {
	report := Report{State: [...]string{"starting", "ready", "stopping"}[r.state.Load()]}
	for _, check := range r.checks {
		if detail := check.Problem(); detail != "" {
			report.Degraded = append(report.Degraded, Problem{Check: check.Name, Detail: detail})
		}
	}
	return report
}

// isReady says whether the node wants connections.
func (r *Readiness) isReady() bool { return r.state.Load() == stateReady }
