package hub

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/philippseith/signalr"
	"go.uber.org/zap"
)

// methods is the hub as the library sees it, one value per call. All that a method gets through the library is the id of
// its call, and what it returns is what the library encodes as the result, so no method returns an error (H10) or nothing
// (H11). It does not embed the library's Hub: each exported method is one that clients could call but for the checks in
// front (H8), and one more that the library compares by reflection.
type methods struct {
	context signalr.HubContext
}

// Initialize is called by the library before each method.
func (m *methods) Initialize(c signalr.HubContext) { m.context = c }

// OnConnected is called by the library for each worker and does nothing (H16).
func (m *methods) OnConnected(string) {}

// OnDisconnected does nothing, see OnConnected.
func (m *methods) OnDisconnected(string) {}

// Subscribe answers each request in order. It never fails as a whole. The names of properties are matched in any case.
func (m *methods) Subscribe(id string) []SubscriptionResult {
	return invoke(m, id, func(c *call) []SubscriptionResult { return c.session.subscribe(c, c.requests) })
}

// Unsubscribe answers each request in order: whether there was a subscription, which is no more.
func (m *methods) Unsubscribe(id string) []SubscriptionResult {
	return invoke(m, id, func(c *call) []SubscriptionResult { return c.session.unsubscribe(c, c.requests) })
}

// UnsubscribeAll ends all subscriptions.
func (m *methods) UnsubscribeAll(id string) bool {
	return invoke(m, id, func(c *call) bool { return c.session.unsubscribeAll(c) })
}

// AvailableSubscriptions are the names of all events.
func (m *methods) AvailableSubscriptions(id string) []string {
	return invoke(m, id, func(c *call) []string { return c.session.hub.names })
}

// ActiveSubscriptions are the subscriptions of the session.
func (m *methods) ActiveSubscriptions(id string) []Subscription {
	return invoke(m, id, func(c *call) []Subscription { return c.session.activeSubscriptions() })
}

// invoke runs a method for a call that its worker has. A panic must not reach the library, which would send its text to
// the client and a second completion (H10).
func invoke[T any](m *methods, id string, run func(*call) T) (result T) {
	w, ok := m.context.Context().Value(workerKey{}).(*worker)
	if !ok {
		return result
	}
	c := w.begin(id)
	if c == nil {
		return result
	}
	defer w.returned(c)
	defer func() {
		if cause := recover(); cause != nil {
			c.outcome = outcomeFailed
			w.pool.options.Logger.Error("hub method panicked", zap.Stringer("method", c.method),
				zap.String("cause", causeOf(cause)), zap.StackSkip("stack", 1))
		}
	}()
	result = run(c)
	c.result = result
	return result
}

// causeOf says what a panic was about. Only what the runtime says is known to quote no payload.
func causeOf(cause any) string {
	if err, ok := cause.(error); ok {
		if r, ok := errors.AsType[runtime.Error](err); ok {
			return r.Error()
		}
	}
	return fmt.Sprintf("%T", cause)
}
