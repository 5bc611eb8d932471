package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
)

// Number identifies the outbox in the trace: see trace.Aside. Numbers repeat after 4 billion outboxes.
func (o *Outbox) Number() uint32 { return o.number }

// record records what happens to an event as a whole, and offers it to the taps.
func (d *Dispatcher) record(ev *events.Event, now time.Time, outcome trace.Outcome, subscribers int) {
	d.options.Trace.Event(ev, now, outcome, subscribers)
	d.options.Taps.Event(ev, now, outcome, subscribers)
}

// recordUnmatched is record for an event without subscribers. Reading the clock costs as much as the search for
// subscribers. So it reads the clock only for a record or a tap.
func (d *Dispatcher) recordUnmatched(ev *events.Event) {
	if d.options.Trace != nil || d.options.Taps.Len() > 0 {
		d.record(ev, arrival(ev), trace.Unmatched, 0)
	}
}

// dropped counts and records an event that the outbox does not deliver.
func (o *Outbox) dropped(b *broadcast, why DropReason, now time.Time) {
	o.shard.counts.dropped[why]++
	o.shard.options.Trace.Aside(o.number, b.id, now, trace.What(why))
}

// droppedSome counts and records events whose ids are not known any more.
func (o *Outbox) droppedSome(count int, why DropReason, now time.Time) {
	o.shard.counts.dropped[why] += count
	o.shard.options.Trace.Some(o.number, count, now, trace.What(why))
}

// traceEnd records that the shard ends the outbox by itself.
func (o *Outbox) traceEnd(reason EndReason, now time.Time) {
	switch reason {
	case EndSlow:
		o.shard.options.Trace.Some(o.number, 1, now, trace.EndedSlow)
	case EndSilent:
		o.shard.options.Trace.Some(o.number, 1, now, trace.EndedSilent)
	case EndFailed:
		o.shard.options.Trace.Some(o.number, 1, now, trace.EndedFailed)
	}
}
