package fanout

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

// Options configures a Dispatcher. A number that is zero takes the default that its comment names.
type Options struct {
	// JSON and MessagePack encode events. JSON is required; MessagePack too if a connection may use that protocol.
	JSON, MessagePack Encoder
	// Deflate returns the compressed form of a frame, with the subscription id as it is. It is called once for each event
	// and protocol. nil: frames stay as they are.
	Deflate func(Frame) Frame
	// State reports whether a newer event replaces ev, and returns what ev is the state of within its topic: zero where
	// the topic alone identifies it. nil: no event is ever replaced.
	State func(ev *events.Event) (key events.ID, ok bool)
	// Expires returns the time from which ev is worthless; zero: never. nil: no event expires.
	Expires func(ev *events.Event) time.Time
	// Malformed is called with each event that could not be encoded, and the error. nil: they are only counted.
	Malformed func(ev *events.Event, err error)

	// Shards is the number of goroutines that write to sockets. Default: one less than GOMAXPROCS, at most
	// subscriptions.MaxShards. A busy shard never blocks, and the Go runtime looks at the network only every 10 ms
	// while all its processors are busy. A spare processor therefore pays: 450,000 deliveries/s instead of 90,000 on
	// one core (docs/tuning.md).
	Shards int
	// Tick is the resolution of keep-alive. Default: 1 s.
	Tick time.Duration

	Outbox OutboxOptions
	Resume ResumeOptions
	Flow   FlowOptions

	// Types are the names of the event types, that of Type 1 first: the values of a metric label. Default: none, and
	// events count as those of other types.
	Types []string
	// Trace records what happens to events. nil: nothing is recorded.
	Trace *trace.Log
	// Taps copy events for operators who watch them. nil: there are none.
	Taps *tap.Taps

	// Registerer receives the metrics. nil: they are not exported.
	Registerer prometheus.Registerer

	yield    func()                     // yieldProcessor, except in tests; nil with several shards
	shortage func(*utilization) float64 // its method, except in tests
}

// OutboxOptions bounds one outbox.
type OutboxOptions struct {
	// Bytes is the memory that frames behind one full socket may take before its session ends as slow: their bytes and
	// some 100 more for each. One frame larger than WriteBytes does not count, such as a large event, and neither does
	// the answer to a call. Default: 1 MiB.
	Bytes int
	// TotalBytes is the memory that frames behind all full sockets may take together. An outbox whose part exceeds an
	// eighth of what is left ends as slow, as does one of a user whose outboxes have more than a sixteenth together; see
	// Account. Default: no bound.
	TotalBytes int
	// Age is the time that a frame may wait behind a full socket before its session ends as slow. Default: 30 s.
	Age time.Duration
	// WriteBytes bounds what one write collects; a single larger frame is written whole. Default: 64 KiB, from where on
	// the kernel's copying dominates and larger writes gain nothing.
	WriteBytes int
}

// ResumeOptions bounds what is kept for clients that may continue on another socket.
type ResumeOptions struct {
	// Bytes is the memory of the frames that one client has not acknowledged. Above it they are dropped: the connection
	// goes on, but cannot continue on another socket until the client has caught up. Default: 1 MiB.
	Bytes int
	// TotalBytes bounds the frames of all clients in the same way. One client may have an eighth of what is left. A frame
	// that several clients share counts for each. Default: 64 MiB.
	TotalBytes int
}

// FlowOptions bounds the events of one organization.
type FlowOptions struct {
	// Backlog is the number of deliveries that may be under way for one organization before Dispatch of its next event
	// waits; room for four events of the topic is granted even if that is more. All organizations together may have ten
	// times as many. Default: 16,384, some 15 ms of one core. A larger backlog makes writes larger and latency longer.
	Backlog int64
	// Quota is the number of events per second that the subscribers of one organization receive. Above it, states are
	// held back and replaced by newer ones, and Dispatch of other events waits. A burst of one second's worth is
	// allowed. Default: no limit.
	Quota int
	// Rest bounds how long the events of an organization are held back so that one write carries several of them. They
	// rest for twice the duration of the writes before, if those writes carried several events and their shard was at
	// work for 90 % of the last 100 ms; for less time if it was for less; not at all below 60 %. The first event after
	// a pause is never held back. Default: events are not held back.
	Rest time.Duration
}

// complete replaces zero values by the defaults and checks the options.
func (o *Options) complete() error {
	switch {
	case o.JSON == nil:
		return errors.New("fanout: Options.JSON is required")
	case o.Flow.Quota < 0:
		return errors.New("fanout: Options.Flow.Quota must not be negative")
	case o.Shards < 0 || o.Shards > subscriptions.MaxShards:
		return fmt.Errorf("fanout: Options.Shards must be from 1 to %d", subscriptions.MaxShards)
	}
	o.Shards = cmp.Or(o.Shards, min(max(runtime.GOMAXPROCS(0)-1, 1), subscriptions.MaxShards))
	o.Tick = cmp.Or(o.Tick, time.Second)
	o.Outbox.Bytes = cmp.Or(o.Outbox.Bytes, 1<<20)
	o.Outbox.Age = cmp.Or(o.Outbox.Age, 30*time.Second)
	o.Outbox.WriteBytes = cmp.Or(o.Outbox.WriteBytes, 64<<10)
	o.Resume.Bytes = cmp.Or(o.Resume.Bytes, 1<<20)
	o.Resume.TotalBytes = cmp.Or(o.Resume.TotalBytes, 64<<20)
	o.Flow.Backlog = cmp.Or(o.Flow.Backlog, 1<<14)
	if o.yield == nil && o.Shards == 1 {
		o.yield = yieldProcessor
	}
	if o.shortage == nil {
		o.shortage = (*utilization).shortage
	}
	if o.State == nil {
		o.State = func(*events.Event) (events.ID, bool) { return events.ID{}, false }
	}
	if o.Expires == nil {
		o.Expires = func(*events.Event) time.Time { return time.Time{} }
	}
	if o.Deflate == nil {
		o.Deflate = func(f Frame) Frame { return f }
	}
	if o.Malformed == nil {
		o.Malformed = func(*events.Event, error) {}
	}
	return nil
}

// minBacklogEvents is the number of events of one topic for which there is always room. With fewer, writes to its
// subscribers carry one or two events and cost several times as much per event.
const minBacklogEvents = 4

// limit returns the backlog of an organization above which an event with this many subscribers waits.
func (o *FlowOptions) limit(subscribers int) int64 {
	return max(o.Backlog, minBacklogEvents*int64(subscribers))
}

// totalLimit returns the backlog of all organizations together above which events wait.
func (o *FlowOptions) totalLimit() int64 { return 10 * o.Backlog }
