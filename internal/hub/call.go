package hub

import (
	"context"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub/invoker"
)

// call is an invocation that passed the checks, on its way through the invoker.
type call struct {
	invoker.Call

	// Static.
	session  *Session
	ctx      context.Context
	method   method
	requests []authz.Request // the argument

	// Owned by the method while it runs, then by Session.Invoke.
	outcome invoker.Outcome
	result  any
	added   []fanout.Subscription // their entries are acquired, their lanes held
	removed []*fanout.Entry       // of the session
	topics  []events.Topic        // of added
	taken   int                   // from the quota; what is not committed is given back

	memory *reservation // for the answer; the answer has it once it is sent
	encode bool         // the library encodes the result

	stateful []fanout.Subscription // those of added that get a snapshot
	replay   *fanout.Replay        // sends it once the call is committed; nil: there is none
	change   uint64                // number of the last change before the call was decided
}

// answerWith returns the answer to the call. It holds the memory of the call until the client has taken it.
func (c *call) answerWith(frame []byte) *fanout.Answer {
	if c.memory == nil {
		return fanout.NewAnswer(frame, nil)
	}
	written := c.memory.release
	c.memory = nil
	return fanout.NewAnswer(frame, written)
}

// rollBack releases what the method acquired for subscriptions that are not granted after all.
func (c *call) rollBack() {
	entries := make([]*fanout.Entry, len(c.added))
	for i := range c.added {
		entries[i] = c.added[i].Entry
		c.session.outbox.Release(c.added[i])
	}
	c.session.hub.releaseLanes(entries)
}
