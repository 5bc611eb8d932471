// Package console is the operator port: metrics, liveness, readiness, profiles, and the operator API with its actions
// (revoke, disconnect, drain, shed, explain, list connections and nodes). It has a listener of its own and never sees
// client traffic. Every path but the two probes needs the token, or a loopback host where there is none.
package console
