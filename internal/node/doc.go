// Package node puts a server together from its parts, runs it, drains it and stops it. It also carries the messages that
// nodes and back ends send to all nodes. The commands of cmd/rte-server are its only callers.
package node
