package hub

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// call is an invocation on its way through the pool.
type call struct {
	// Static.
	session  *Session
	ctx      context.Context
	method   method
	id       string          // what its worker and the library know it by
	requests []authz.Request // the argument
	head     []byte          // how the completion's record begins; nil: no record is wanted
	done     chan struct{}   // closed when the call has ended

	// Owned by the method while it runs, by the worker until done is closed, then by Session.Invoke.
	outcome outcome
	result  any
	record  []byte                 // completion, if one is wanted
	added   []fanout.Listener      // their entries are acquired, their lanes held
	removed []*subscriptions.Entry // of the session
	topics  []events.Topic         // of added
	taken   int                    // from the quota; those that are not committed are given back

	stateful []fanout.Listener // those of added that get a snapshot
	replay   *fanout.Replay    // brings it, once the call is committed; nil: there is none
	change   uint64            // number of the last change before it was decided
}

// outcome says how an invocation ended.
type outcome uint8

const (
	// outcomeOK: the method returned a result.
	outcomeOK outcome = iota
	// outcomeInvalid: it does not fit the method.
	outcomeInvalid
	// outcomeFailed: the method panicked, or the library's loop ended.
	outcomeFailed
	// outcomeTimeout: no place in the pool became free in time.
	outcomeTimeout
	// outcomeAbandoned: the session or the connection ended first.
	outcomeAbandoned
	numOutcomes
)

// String is the outcome as a metric label.
func (o outcome) String() string {
	return [numOutcomes]string{"ok", "invalid", "failed", "timeout", "abandoned"}[o]
}

// completionHead is a completion up to and including its id, as JSON.
func completionHead(id string) []byte {
	quoted, _ := json.Marshal(id) // a string can always be encoded
	return append([]byte(`{"type":3,"invocationId":`), quoted...)
}

// complete ends a call with the rest of a completion that the library wrote, from behind its id.
func (c *call) complete(rest []byte) {
	switch {
	case bytes.HasPrefix(rest, []byte(`,"error":`)):
		// The library's own text tells Go types and quotes what the client sent. It has nothing to say but that the
		// arguments do not bind: methods return no errors and do not panic into it.
		c.outcome = outcomeInvalid
	case c.head != nil:
		c.record = append(c.head, rest...)
	}
	close(c.done)
}

// fail ends a call that the library does not answer any more.
func (c *call) fail(how outcome) {
	c.outcome = how
	close(c.done)
}

// takeBack gives back what the method took for subscriptions that are not granted after all.
func (c *call) takeBack() {
	entries := make([]*subscriptions.Entry, len(c.added))
	for i := range c.added {
		entries[i] = c.added[i].Entry
		c.session.hub.options.Registry.Release(entries[i])
	}
	c.session.hub.releaseLanes(entries)
}
