// Package console is the operator's port: metrics, liveness, readiness, profiles, and what operators can ask for and do:
// revoke, disconnect, explain, list connections. It is served by a listener of its own and never sees client traffic.
package console
