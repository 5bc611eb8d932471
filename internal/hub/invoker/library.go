package invoker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/philippseith/signalr"
	"go.uber.org/zap"
)

// never is longer than any loop lives.
const never = 100 * 365 * 24 * time.Hour

// newServer makes a server of the library for one loop. Each loop has its own, because a panic in the life cycle of a
// hub ends its server with all connections (H16). messageBytes is the size of the largest message (H6).
func newServer(ctx context.Context, l *loop, messageBytes int) (signalr.Server, error) {
	return signalr.NewServer(ctx,
		// The library also calls the factory for log lines, so it does nothing else (H17).
		signalr.HubFactory(func() signalr.HubInterface { return target{l} }),
		signalr.WithHubLifetimeManager(func(signalr.Server) (signalr.HubLifetimeManager, error) {
			return noClients{}, nil
		}),
		signalr.MaximumReceiveMessageSize(uint(messageBytes)),
		signalr.KeepAliveInterval(never), // H14
		signalr.TimeoutInterval(never),
		signalr.Logger(nopLogger{}, false), // H18
		signalr.EnableDetailedErrors(false),
	)
}

// targetMethod is the name of the one method of target.
const targetMethod = "Invoke"

// target is the hub as the library sees it. It has one method of its own, which runs any Call: the library finds
// methods by comparing the names of all of them by reflection (H8). It does not embed the library's Hub, whose
// exported methods could be called too.
type target struct{ loop *loop }

// Initialize does nothing. The library calls it before each method.
func (target) Initialize(signalr.HubContext) {}

// OnConnected does nothing. The library calls it for each loop (H16).
func (target) OnConnected(string) {}

// OnDisconnected does nothing, see OnConnected.
func (target) OnDisconnected(string) {}

// Invoke runs the call with an id and returns its result, which the library encodes. A panic must not reach the
// library, which would send its text to the client, and a second completion (H10).
func (t target) Invoke(id string) (result any) {
	l := t.loop
	c := l.begin(id)
	if c == nil {
		return nil
	}
	defer l.returned(c)
	defer func() {
		if cause := recover(); cause != nil {
			c.outcome = Failed
			l.invoker.logger.Error("hub method panicked", zap.String("method", c.Method),
				zap.String("cause", causeOf(cause)), zap.StackSkip("stack", 1))
		}
	}()
	return c.Run()
}

// causeOf describes the value of a panic. Only errors of the runtime are known to quote no payload; of others it
// returns the type.
func causeOf(cause any) string {
	if err, ok := cause.(error); ok {
		if r, ok := errors.AsType[runtime.Error](err); ok {
			return r.Error()
		}
	}
	return fmt.Sprintf("%T", cause)
}

// nopLogger is a logger that drops everything.
type nopLogger struct{}

// Log drops a line.
func (nopLogger) Log(...any) error { return nil }

// noClients keeps the library from keeping lists of connections and groups: its connections are loops, and nothing is
// ever pushed through it (H16).
type noClients struct{}

func (noClients) OnConnected(signalr.HubConnection)          {}
func (noClients) OnDisconnected(signalr.HubConnection)       {}
func (noClients) InvokeAll(string, []any)                    {}
func (noClients) InvokeClient(string, string, []any)         {}
func (noClients) InvokeGroup(string, string, []any)          {}
func (noClients) AddToGroup(groupName, connectionID string)  {}
func (noClients) RemoveFromGroup(groupName, clientID string) {}
