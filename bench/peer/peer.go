// Package peer knows the servers that are compared: how to build, configure and start each, how its clients talk,
// and how events get into it.
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
	// Prepare writes what the server needs and says how to start it.
	Prepare func(Setup) (Launch, error)
}

// Setup is what a peer has to serve.
type Setup struct {
	Binaries string // folder of the built programs
	Dir      string // empty, for configuration
	Client   netip.AddrPort
	Operator netip.AddrPort // for events and probes
	Broker   netip.AddrPort // for a message broker, where one is used
	Topics   []event.Topic  // by number
	Auth     bool
}

// Launch says how to start a prepared server and how to talk to it.
type Launch struct {
	Path    string
	Args    []string
	Env     []string
	Ready   []string // addresses that accept connections when the server is ready
	Broker  *Broker  // nil: none
	Profile string   // URL of a CPU profile (net/http/pprof); empty: none
	Dialect load.Dialect
	// Connect opens a way in for events. Each stream of events has its own.
	Connect func(context.Context) (Publisher, error)
}

// Broker is a process between publishers and the server. It runs with the load and is not measured.
type Broker struct {
	Path  string
	Args  []string
	Ready string
}

// Event is one event on its way to a server, in the form that the peer wants.
type Event struct {
	Topic   *event.Topic
	Payload []byte
}

// Publisher puts events into a server. Publish returns when the server has taken them, in order.
type Publisher interface {
	Publish(ctx context.Context, events []Event) error
	Close() error
}

// All are the peers in the order of reporting.
func All() []Peer {
	return []Peer{
		limit(1), limit(4), limit(8), limit(16),
		signalR(), centrifugo(), rte(), rteRedis(),
	}
}

// Find returns the named peers, in the order of reporting; names that are unknown come back in missing.
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
