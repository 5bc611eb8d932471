package console

import "net/http"

// Probe answers /readyz: the report, with 200 while the node wants connections and 503 otherwise.
//
// A degraded node answers 200, because what it lacks is mostly shared, and 503 of all nodes would leave clients without
// any. A load balancer that uses nodes that fail when no other is left can ask for more: with "?strict" a degraded
// node answers 503.
func (r *Readiness) Probe(w http.ResponseWriter, q *http.Request) {
	report := r.Report()
	writeJSON(w, report.status(q), report)
}

// ProbeWithoutDetails is Probe for a port that clients reach: it answers the state without the reasons.
func (r *Readiness) ProbeWithoutDetails(w http.ResponseWriter, q *http.Request) {
	report := r.Report()
	writeJSON(w, report.status(q), Report{State: report.State})
}

// status returns the status of the answer to a probe.
func (r *Report) status(q *http.Request) int {
	switch {
	case r.State == StateReady, r.State == StateDegraded && !q.URL.Query().Has("strict"):
		return http.StatusOK
	default:
		return http.StatusServiceUnavailable
	}
}
