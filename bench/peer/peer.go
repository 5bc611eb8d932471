// Package peer has the servers that are compared. It builds, configures and starts each of them, and has the protocol
// of its clients and a way to publish events to it.
package peer

import (
	"context"
	"net/netip"
	"slices"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// Peer is one row of the comparison.
type Peer struct {
	Name  string // unique, as given to -peers
	Kind  string // as scenarios name it
	Title string // for tables
	Label string // for the chart; empty: not in it
	Form  event.Form
	// Prepare writes the files that the server needs, and returns how to start it.
	Prepare func(Setup) (Launch, error)
}

// Setup is the environment of a peer.
type Setup struct {
	Binaries string // folder of the built programs
	Dir      string // empty, for configuration
	Client   netip.AddrPort
	Operator netip.AddrPort // for events and probes
	Broker   netip.AddrPort // for a message broker, if there is one
	Topics   []event.Topic  // by number
	Auth     bool
	Deflate  bool // grant permessage-deflate to clients that offer it; rte-server and Centrifugo only
}

// Launch describes how to start a prepared server and how to use it.
type Launch struct {
	Path    string
	Args    []string
	Env     []string
	Ready   []string // addresses that accept connections when the server is ready
	Broker  *Broker  // nil: none
	Profile string   // URL of a CPU profile (net/http/pprof); empty: none
	Dialect load.Dialect
	// Connect returns a new publisher. Each stream of events has its own.
	Connect func(context.Context) (Publisher, error)
}

// Broker is a process between publishers and the server. It runs on the core of the load and is not measured.
type Broker struct {
	Path  string
	Args  []string
	Ready string
}

// Event is an event in the form that the peer needs.
type Event struct {
	Topic   *event.Topic
	Payload []byte
}

// Publisher publishes events to a server. Publish returns when the server has taken them, in order.
type Publisher interface {
	Publish(ctx context.Context, events []Event) error
	Close() error
}

// All returns the peers in the order of reporting.
func All() []Peer {
	return []Peer{
		limit(1), limit(4), limit(8), limit(16),
		signalR(), aspnet(), aspnetRedis(), centrifugo(), nats(), bun(), untraced(), rte(), rteRedis(),
	}
}

// Find returns the peers with the given names or kinds, in the order of reporting, and the names that are unknown.
func Find(names []string) (found []Peer, missing []string) {
	missing = slices.Clone(names)
	for _, p := range All() {
		if slices.Contains(names, p.Name) || slices.Contains(names, p.Kind) {
			found = append(found, p)
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == p.Name || name == p.Kind })
		}
	}
	return found, missing
}
