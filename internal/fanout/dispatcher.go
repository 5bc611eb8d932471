package fanout

import (
	"context"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// Options are what a Dispatcher needs. Zero values are replaced by the defaults that the fields name.
type Options struct{}

// Dispatcher brings events to the outboxes of their listeners.
type Dispatcher struct{}

// New makes a Dispatcher. Nothing moves before Run.
func New(Options) *Dispatcher { return &Dispatcher{} }

// Run runs the shards until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error { return nil }

// Dispatch brings ev to every outbox that listens to its topic. It waits for no client, only for shards that
// have fallen behind. Events of one topic must come from one goroutine to stay in order.
func (d *Dispatcher) Dispatch(ev *events.Event) {}

// Open makes an outbox that writes to w. It may be called from any goroutine.
func (d *Dispatcher) Open(w Writer, p Protocol) *Outbox { return &Outbox{} }

// Outbox waits for one socket. Its methods may be called from any goroutine, also after it ended, and do not block.
type Outbox struct{}

// Send appends a frame, such as a completion, behind everything sent before.
func (o *Outbox) Send(frame []byte) {}

// Listener is a subscription of an outbox.
type Listener struct {
	Entry *subscriptions.Entry
	ID    events.ID
}

// Change is a step in the life of an outbox that happens as a whole: the frame is sent, and what is added
// receives every event that is dispatched once Apply has returned, behind that frame.
type Change struct {
	Frame  []byte
	Add    []Listener             // each Entry was acquired once from the registry for this; the shard releases it
	Remove []*subscriptions.Entry // what was added before
}

// Apply makes a change.
func (o *Outbox) Apply(c Change) {}

// Close sends the final bytes, ends the subscriptions that are named (all that the outbox has: its session keeps the
// list) and, when the bytes are written or the send timeout is over, calls Writer.Ended. nil bytes: nothing more is
// written. It must be called once for every outbox, also after the shard itself ended it; a second call is ignored.
func (o *Outbox) Close(final []byte, entries []*subscriptions.Entry) {}
