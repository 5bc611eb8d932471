// Package node assembles a server from its parts, runs it, drains it and stops it. It also carries the control messages
// between nodes and from back ends. Only the commands of cmd/rte-server use it.
//
// New opens the ports and starts nothing; Run starts every part and returns when the last one has ended. Parts end in
// the reverse order of need: readiness first, then new clients, sessions, and the parts that sessions use.
package node
