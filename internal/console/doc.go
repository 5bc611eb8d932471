// Package console is the operator's port: metrics, liveness, readiness and profiles. It is served by a listener of its
// own and never sees client traffic. It knows no other package of this module: what it shows is handed to it.
package console
