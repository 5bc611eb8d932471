package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/trace"
)

// Number identifies the outbox in the trace: see trace.Aside. Numbers repeat after 4 billion outboxes.
func (o *Outbox) Number() uint32 { return o.number }

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
