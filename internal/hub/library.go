package hub

import (
	"context"
	"time"

	"github.com/philippseith/signalr"
)

// never is longer than any worker lives.
const never = 100 * 365 * 24 * time.Hour

// newLibrary makes a server of the library. Each worker has its own, because whatever panics in the life cycle of one
// hub ends its server with all its connections (H16). messageBytes is what one message may have (H6).
func newLibrary(ctx context.Context, messageBytes int) (signalr.Server, error) {
	return signalr.NewServer(ctx,
		// The factory is also called for log lines, so it does nothing else (H17).
		signalr.HubFactory(func() signalr.HubInterface { return &methods{} }),
		signalr.WithHubLifetimeManager(func(signalr.Server) (signalr.HubLifetimeManager, error) {
			return noClients{}, nil
		}),
		signalr.MaximumReceiveMessageSize(uint(messageBytes)),
		signalr.KeepAliveInterval(never), // H14
		signalr.TimeoutInterval(never),
		signalr.Logger(silence{}, false), // H18
		signalr.EnableDetailedErrors(false),
	)
}

// silence is a logger.
type silence struct{}

// Log drops a line.
func (silence) Log(...any) error { return nil }

// noClients keeps the library from keeping lists of connections and groups: its connections are workers, and nothing
// is ever pushed through it (H16).
type noClients struct{}

func (noClients) OnConnected(signalr.HubConnection)          {}
func (noClients) OnDisconnected(signalr.HubConnection)       {}
func (noClients) InvokeAll(string, []any)                    {}
func (noClients) InvokeClient(string, string, []any)         {}
func (noClients) InvokeGroup(string, string, []any)          {}
func (noClients) AddToGroup(groupName, connectionID string)  {}
func (noClients) RemoveFromGroup(groupName, clientID string) {}
