package peer

import (
	"path/filepath"

	"github.com/rte-server/rte-server/bench/event"
)

// bunKind is the kind of the peer that needs npm.
const bunKind = "bun"

// bun is a hub on the WebSocket server of Bun, with one topic of Bun per topic. It checks no authorization, does not
// repeat lost events, and replaces no state by a newer one.
func bun() Peer {
	return Peer{
		Name: bunKind, Kind: bunKind, Title: "Bun 1.4.5 (uWebSockets), topics", Label: "Bun",
		Form: event.Message,
		Prepare: func(s Setup) (Launch, error) {
			dir := filepath.Join(s.Binaries, bunKind)
			return Launch{
				Path:    filepath.Join(dir, "bun"),
				Args:    []string{filepath.Join(dir, "server.js"), s.Client.String(), s.Operator.String()},
				Ready:   []string{s.Operator.String(), s.Client.String()},
				Dialect: &hub{host: s.Client.String(), topics: s.Topics},
				Connect: dialIngest(s.Operator),
			}, nil
		},
	}
}
