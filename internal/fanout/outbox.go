package fanout

import (
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// maxSends bounds the frames of Send, and the changes, that a shard has not taken yet. A connection has one invocation at
// a time and answers one ping at a time; more is a flood.
const maxSends = 64

// Outbox waits for one socket. Its exported methods may be called from any goroutine, also after it ended, and do
// not block.
type Outbox struct {
	// Static after construction.
	shard    *Shard
	writer   Writer
	protocol Protocol

	sends atomic.Int32 // calls of Send and Apply in the inbox

	// Owned by the shard's goroutine from here on.
	state     outboxState
	reason    EndReason // set when state leaves open
	closed    bool      // its session has closed it
	full      bool      // the socket is full: a goroutine writes, frames collect in waiting
	lane      *lane     // the lane that is to write what is in buf; nil: none
	replay    *Replay   // of states for its new listeners; nil: there is none
	waiting   *waiting  // nil unless full
	inFlight  int       // bytes in the hands of that goroutine
	flying    int       // events that are not delivered before it has written them
	buf       []byte    // frames that are written when their lane is flushed; nil: none
	collected int       // events in buf
	spoke               // place in the wheel
}

type outboxState uint8

const (
	outboxOpen outboxState = iota
	// outboxClosing takes no more frames and ends when those it has are written.
	outboxClosing
	outboxEnded
)

// Listener is a subscription of an outbox.
type Listener struct {
	// Entry was acquired once from the registry for this listener; the shard releases it.
	Entry *subscriptions.Entry
	// ID is the subscription id that the listener's frames carry.
	ID events.ID
}

// Change is a step in the life of an outbox that happens as a whole: the frame is sent, and what is added receives
// every event that is dispatched once Apply has returned, behind that frame.
type Change struct {
	Frame  []byte                 // nil: none
	Add    []Listener             // not of the outbox so far
	Remove []*subscriptions.Entry // of the outbox so far
	Replay *Replay                // of states of what is added; nil: none. It must be ended by EndReplay
}

// Room says that the shard has taken what came of earlier calls but for a few. Who makes changes for a client, which
// could ask for many, waits for it; Apply itself refuses none.
func (o *Outbox) Room() bool { return o.sends.Load() < maxSends }

// Apply makes a change. It keeps c's slices.
func (o *Outbox) Apply(c Change) {
	if len(c.Add) > 0 {
		o.shard.announced.Add(1)
		for _, l := range c.Add {
			l.Entry.Listen(o.shard.index)
		}
	}
	o.sends.Add(1)
	if !o.shard.inbox.put(&item{kind: itemChange, box: o, change: &c}) {
		o.shard.releaseAll(&c)
	}
}

// Send appends a frame behind everything sent before. It refuses, false, when the shard has not yet taken the
// frames of many earlier calls: the caller floods.
func (o *Outbox) Send(frame []byte) bool {
	if o.sends.Add(1) > maxSends {
		o.sends.Add(-1)
		return false
	}
	return o.shard.inbox.put(&item{kind: itemSend, box: o, frame: frame})
}

// Close sends the final bytes behind what can be written, ends the subscriptions that are named (all that the outbox
// has: its session keeps the list) and, when the bytes are written or the send timeout is over, calls Writer.Ended.
// nil bytes: nothing more is written. It must be called once for every outbox, also after the shard itself ended it.
func (o *Outbox) Close(final []byte, entries []*subscriptions.Entry) {
	c := &Change{Frame: final, Remove: entries}
	if !o.shard.inbox.put(&item{kind: itemClose, box: o, change: c}) {
		o.shard.releaseAll(c)
	}
}

// add gives the outbox a frame that only it receives.
func (o *Outbox) add(frame []byte, now time.Time) {
	if o.full {
		o.wait(pending{frame: frame, since: now})
		return
	}
	o.touch(&o.shard.control)
	o.buf = append(o.buf, frame...)
	if len(o.buf) >= o.shard.options.WriteBytes {
		o.flush() // which may end it
	}
}

// addEvent gives the outbox the frame of an event of a lane.
func (o *Outbox) addEvent(l *lane, b *broadcast, id events.ID, now time.Time) {
	f := &b.frames[o.protocol]
	if f.Bytes == nil {
		return // the event was dispatched before this outbox was opened
	}
	o.handOver(l)
	switch {
	case o.state != outboxOpen:
		return
	case o.full:
		o.wait(pending{broadcast: b, id: id, since: now})
		return
	}
	o.touch(l)
	o.buf = f.splice(o.buf, id)
	o.collected++
	o.lane.collected += len(f.Bytes)
	if len(o.buf) >= o.shard.options.WriteBytes {
		o.flush()
	}
}

// handOver writes what another lane than l has put into the outbox. Behind it events would wait for that lane's turn, and
// count for it: while the control lane pings thousands of clients, all that a flood brings would collect in their outboxes.
func (o *Outbox) handOver(l *lane) {
	if o.lane != nil && o.lane != l {
		o.lane = nil // it stays among what that lane has touched, which it does not find to be its own any more
		o.flush()
	}
}

// touch marks the outbox to be written when the lane has nothing more to append.
func (o *Outbox) touch(l *lane) {
	if o.buf == nil {
		o.buf = o.shard.buffers.get()
	}
	if o.lane != nil {
		return
	}
	o.lane = l
	if l.owner == nil && l.idle() {
		o.shard.ring.push(l)
	}
	l.touched = append(l.touched, o)
}

// wait queues a frame behind a full socket, and ends the outbox if that is too much.
func (o *Outbox) wait(p pending) {
	if o.state != outboxOpen {
		if p.broadcast != nil {
			o.shard.counts.dropped[DropClosed]++
		}
		return
	}
	before := o.waiting.bytes
	options := o.shard.options
	if o.waiting.push(p, options.WriteBytes, o.protocol) {
		o.shard.counts.dropped[DropConflated]++
	}
	o.shard.waitingBytes += o.waiting.bytes - before
	// One answer may be larger than the bound, and the client read it at once: neither what the socket has not taken of it
	// nor that it waits says that the client is slow, but what comes behind it does.
	if min(o.inFlight, options.WriteBytes)+o.waiting.bytes-o.waiting.large > options.OutboxBytes {
		o.shard.end(o, EndSlow, p.since)
	}
}

// flush writes what the turn has collected.
func (o *Outbox) flush() {
	if o.full || len(o.buf) == 0 {
		return
	}
	n, ok := o.shard.write(o, o.buf)
	if !ok {
		o.shard.ended(o, EndFailed)
		return
	}
	buf, events := o.buf, o.collected
	o.buf, o.collected = nil, 0
	if n < len(buf) {
		o.fill(buf[n:], events)
	} else {
		o.shard.buffers.put(buf)
		o.shard.counts.deliveries += events
		if o.state == outboxClosing {
			o.shard.ended(o, o.reason)
		}
	}
}

// fill hands what the socket did not take to a goroutine that waits for it. events is the number of events that
// are not delivered before it has.
func (o *Outbox) fill(rest []byte, events int) {
	s := o.shard
	if !o.full {
		o.full = true
		s.fullOutboxes++
		if o.waiting == nil {
			o.waiting = &waiting{}
		}
	}
	o.inFlight, o.flying = len(rest), events
	s.waitingBytes += o.inFlight
	s.writers.Go(func() {
		err := o.writer.WriteAll(rest)
		s.inbox.put(&item{kind: itemDrained, box: o, frame: rest, err: err})
	})
}

// drained goes on when the goroutine has written what it was given.
func (o *Outbox) drained(buf []byte, err error, now time.Time) {
	s := o.shard
	s.waitingBytes -= o.inFlight
	o.inFlight = 0
	s.buffers.put(buf)
	if err != nil {
		s.counts.dropped[DropFailed] += o.flying
		s.ended(o, EndFailed)
		return
	}
	s.counts.deliveries += o.flying
	if o.state == outboxEnded {
		return
	}
	for {
		waited := o.waiting.bytes
		next, moved, expired := o.waiting.next(s.buffers.get(), s.options.WriteBytes, o.protocol, now)
		s.waitingBytes += o.waiting.bytes - waited
		s.counts.dropped[DropExpired] += expired
		if len(next) == 0 {
			s.buffers.put(next)
			break
		}
		n, ok := s.write(o, next)
		if !ok {
			s.counts.dropped[DropFailed] += moved
			s.ended(o, EndFailed)
			return
		}
		if n < len(next) {
			o.fill(next[n:], moved)
			return
		}
		s.buffers.put(next)
		s.counts.deliveries += moved
	}
	o.full = false
	s.fullOutboxes--
	o.waiting = nil
	o.goOn()
	if o.state == outboxClosing {
		s.ended(o, o.reason)
	}
}

// overdue says whether a frame has waited longer than the bound.
func (o *Outbox) overdue(now time.Time) bool {
	if o.waiting == nil {
		return false
	}
	since, ok := o.waiting.oldest()
	return ok && now.Sub(since) > o.shard.options.OutboxAge
}
