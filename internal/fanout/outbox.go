package fanout

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
)

// maxSends bounds the calls of Send that a shard has not taken yet. A connection answers one ping at a time; more is a
// flood.
const maxSends = 64

// Outbox holds what waits for one socket. Any goroutine may call its exported methods, also after it has ended. They do
// not block, except Replay and AwaitAnswer.
type Outbox struct {
	// A direct pass reads these up to the length of buf: 64 bytes, and each line of the processor's cache costs a miss.
	writer     Writer       // static after construction
	resumption *resumption  // nil: the outbox ends with its socket; static after construction
	protocol   Protocol     // static after construction
	number     uint32       // identifies it in the trace; static after construction
	sends      atomic.Int32 // calls of Send in the inbox
	status                  // owned by the shard
	queue      *turnQueue   // the queue that is to write buf; nil: none; owned by the shard
	buf        []byte       // frames to write when queue is flushed; nil: none; owned by the shard

	shard  *Shard                 // static after construction
	held   atomic.Int64           // bytes that wait for the full socket; written by the shard
	answer atomic.Pointer[Answer] // that is not written yet; nil: none

	// Owned by the shard's goroutine from here on.
	replay        *Replay  // of states to its new subscriptions; nil: there is none
	waiting       *waiting // nil unless full
	inFlightBytes int      // in the hands of the goroutine that writes
	inFlight      int      // events that are delivered once it has written them
	collected     int      // events in buf
	spoke                  // place in the wheel
}

// status is the state of an outbox in four bytes.
type status struct {
	state  outboxState
	reason EndReason // set when state leaves outboxOpen
	closed bool      // its session has closed it
	full   bool      // the socket is full: a goroutine writes, frames collect in waiting
}

type outboxState uint8

const (
	outboxOpen outboxState = iota
	// outboxClosing takes no more frames and ends when those it has are written.
	outboxClosing
	outboxEnded
)

// Subscription is a subscription of an outbox to a topic. Outbox.Acquire returns it.
type Subscription struct {
	Entry *Entry
	// ID is the subscription id that its frames carry.
	ID events.ID
}

// Change is a step in the life of an outbox. It happens as a whole: the frame or the answer is sent, and behind it each
// new subscription receives every event that is dispatched after Apply has returned.
type Change struct {
	Frame  []byte         // a frame that is not the answer to a call; nil: none
	Answer *Answer        // to a call; nil: none. AwaitAnswer must have returned nil since the one before
	Add    []Subscription // from Acquire; the outbox has no subscription to these topics yet
	Remove []*Entry       // of subscriptions that the outbox has
	Replay *Replay        // of states to some of Add; nil: none. EndReplay must end it
}

// Acquire returns a new subscription of this outbox to a topic. It receives nothing yet. Pass it to Apply, or give it
// back with Release.
func (o *Outbox) Acquire(topic events.Topic) Subscription {
	return Subscription{Entry: o.shard.registry.Acquire(topic), ID: events.NewID()}
}

// Waiting returns the bytes of the frames that wait for a full socket.
func (o *Outbox) Waiting() int64 { return o.held.Load() }

// Release gives back a subscription that Acquire returned and that was not passed to Apply.
func (o *Outbox) Release(s Subscription) { o.shard.registry.Release(s.Entry) }

// Apply makes a change. It keeps the slices of c. It refuses no change: a caller that makes them for a client, which
// could ask for many, gives each an Answer and calls AwaitAnswer before.
func (o *Outbox) Apply(c Change) {
	if c.Answer != nil {
		o.answer.Store(c.Answer)
	}
	if len(c.Add) > 0 {
		o.shard.additionsBegun.Add(1)
		for _, s := range c.Add {
			s.Entry.AddShard(o.shard.index)
		}
	}
	if !o.shard.inbox.put(&command{kind: commandApply, outbox: o, change: &c}) {
		o.shard.releaseAll(&c)
		o.finishAnswer()
	}
}

// Send appends a copy of a control frame behind everything sent before. If many earlier frames wait for the shard, it
// drops the frame and returns false: the caller floods. It allocates nothing for a small frame.
func (o *Outbox) Send(frame []byte) bool {
	if o.sends.Add(1) > maxSends {
		o.sends.Add(-1)
		return false
	}
	return o.shard.inbox.put(o.shard.sends.get(o, frame))
}

// Close sends the final bytes, nil for none, behind the frames that can still be written, and ends the subscriptions to
// entries. Once the bytes are written, or the send timeout is over, the shard calls Writer.Ended. Call Close once for
// each outbox, also if the shard has ended it already, and name all subscriptions: the session has the list.
func (o *Outbox) Close(final []byte, entries []*Entry) {
	c := &Change{Frame: final, Remove: entries}
	if !o.shard.inbox.put(&command{kind: commandClose, outbox: o, change: c}) {
		o.shard.releaseAll(c)
	}
}

// addControl gives the outbox a control frame. The caller uses the memory of the frame again. If no frames are
// collected, addControl writes it at once: a collected frame would need memory until the write.
func (o *Outbox) addControl(frame []byte, now time.Time) {
	if o.full || len(o.buf) > 0 || len(frame) > maxControl {
		o.addFrame(bytes.Clone(frame), nil, false, now)
		return
	}
	switch n, ok := o.shard.write(o, frame); {
	case !ok:
		o.fail(0, now)
	case n < len(frame):
		o.writeLater(bytes.Clone(frame[n:]), 0)
	}
}

// addFrame gives the outbox a frame that no other outbox receives. a is set if it is the frame of an answer. counted
// means that the frame gets a number, see resumption. A large frame is written at once, and not copied.
func (o *Outbox) addFrame(frame []byte, a *Answer, counted bool, now time.Time) {
	limit := o.shard.options.Outbox.WriteBytes
	if len(frame) >= limit {
		o.flush() // which may end it or fill the socket
	}
	if a != nil {
		a.place = answerCollected
	}
	switch {
	case o.state == outboxEnded:
	case o.full:
		if a != nil {
			a.place = answerWaits
		}
		if counted || o.resumption == nil || !o.resumption.detached {
			o.enqueue(pending{frame: frame, since: now, answer: a != nil, counted: counted})
		}
	case len(frame) >= limit:
		if counted {
			o.keepLarge(frame)
		}
		o.write(frame, 0)
	default:
		if counted {
			o.keep(numbered{frame: frame})
		}
		o.collect(frame)
		if len(o.buf) >= limit {
			o.flush()
		}
	}
}

// collect appends a frame of this outbox alone to buf. The first small frame becomes buf itself, without a copy: pings
// of thousands of outboxes in one tick would take a buffer each, 14 MB for 15,000 connections. Its capacity is
// clipped, so no append writes to it, and buffers does not keep it.
func (o *Outbox) collect(frame []byte) {
	o.touch(&o.shard.control)
	switch {
	case o.buf == nil && len(frame) < bufferBytes:
		o.buf = slices.Clip(frame)
	case cap(o.buf) < bufferBytes:
		o.buf = append(append(o.shard.buffers.get(), o.buf...), frame...)
	default:
		o.buf = append(o.buf, frame...)
	}
}

// addEvent gives the outbox the frame of an event from a turn queue.
func (o *Outbox) addEvent(q *turnQueue, b *broadcast, id events.ID, now time.Time) {
	f := b.frame(o.protocol)
	if f.Bytes == nil {
		return // the event was dispatched before this outbox was opened
	}
	o.flushOther(q)
	switch {
	case o.state != outboxOpen:
		return
	case o.full:
		o.enqueue(pending{broadcast: b, id: id, since: now})
		return
	}
	o.touch(q)
	before := cap(o.buf)
	if o.buf == nil {
		o.buf = o.shard.buffers.get()
	}
	o.buf = f.splice(o.buf, id)
	o.collected++
	o.keep(numbered{broadcast: b, id: id})
	o.queue.collected += len(f.Bytes)
	o.queue.buffered += cap(o.buf) - before
	if len(o.buf) >= o.shard.options.Outbox.WriteBytes {
		o.flush()
	}
}

// flushOther writes the frames that a queue other than q has put into the outbox. Behind them, the events of q would
// wait for the turn of the other queue and count for it: while the control queue pings thousands of clients, a whole
// flood would collect in their outboxes.
func (o *Outbox) flushOther(q *turnQueue) {
	if o.queue != nil && o.queue != q {
		o.queue = nil // the other queue still lists it as touched, and will skip it
		o.flush()
	}
}

// touch marks the outbox to be written when the queue has nothing more to append.
func (o *Outbox) touch(q *turnQueue) {
	if o.queue != nil {
		return
	}
	o.queue = q
	if q == &o.shard.control && q.empty() {
		o.shard.ring.push(q)
	}
	q.touched = append(q.touched, o)
}

// enqueue puts a frame behind a full socket, and ends the outbox if that exceeds its bound.
func (o *Outbox) enqueue(p pending) {
	if o.state != outboxOpen {
		if p.broadcast != nil {
			o.dropped(p.broadcast, DropClosed, p.since)
		}
		return
	}
	before := o.waiting.bytes
	options := &o.shard.options.Outbox
	if b := o.waiting.push(p, options.WriteBytes, o.protocol); b != nil {
		o.shard.counts.dropped[DropConflated]++
		o.shard.options.Trace.Replaced(o.number, b.id, p.broadcast.id, p.since, trace.Conflated)
	}
	o.hold(o.waiting.bytes - before)
	// One frame may be larger than the bound, and the client may read it at once. A partly written frame does not make
	// the client slow, and neither does a large frame or an answer that waits; other frames queued behind it do.
	waiting := o.waiting.bytes - o.waiting.large - o.waiting.answer
	if min(o.inFlightBytes, options.WriteBytes)+waiting > options.Bytes || o.exceedsTotal(waiting) {
		o.shard.end(o, EndSlow, p.since)
	}
}

// flush writes the collected frames.
func (o *Outbox) flush() {
	if o.full || len(o.buf) == 0 {
		return
	}
	buf, events := o.buf, o.collected
	o.buf, o.collected = nil, 0
	o.write(buf, events)
}

// write writes buf, which contains events, to a socket that is not full.
func (o *Outbox) write(buf []byte, events int) {
	n, ok := o.shard.write(o, buf)
	switch {
	case !ok:
		o.buf, o.collected = buf, events
		o.fail(0, time.Now())
	case n < len(buf):
		o.writeLater(buf[n:], events)
	default:
		o.written(buf, events)
		if o.state == outboxClosing {
			o.shard.completeEnd(o, o.reason)
		}
	}
}

// written accounts for a write that the socket has taken whole.
func (o *Outbox) written(buf []byte, events int) {
	o.shard.buffers.put(buf)
	o.shard.counts.deliveries += events
	if o.answerAt(answerCollected) {
		o.finishAnswer()
	}
}

// writeLater hands the rest of a write to a goroutine that waits for the full socket. events is the number of events
// that are delivered once the rest is written.
func (o *Outbox) writeLater(rest []byte, events int) {
	s := o.shard
	if !o.full {
		o.full = true
		s.fullOutboxes++
		s.lagging.set(o, time.Now())
		o.waiting = &waiting{account: s.accounts.open(o.writer.Owner())}
	}
	o.moveAnswer(answerCollected, answerInFlight)
	o.inFlightBytes, o.inFlight = len(rest), events
	o.hold(o.inFlightBytes)
	s.writers.Go(func() {
		err := o.writer.WriteAll(rest)
		s.inbox.put(&command{kind: commandDrained, outbox: o, frame: rest, err: err})
	})
}

// drained continues when that goroutine has written buf.
func (o *Outbox) drained(buf []byte, err error, now time.Time) {
	s := o.shard
	o.hold(-o.inFlightBytes)
	delivered := o.inFlight
	o.inFlightBytes, o.inFlight = 0, 0
	s.buffers.put(buf)
	switch {
	case o.resumption != nil && o.resumption.detached && o.state == outboxOpen:
		o.resumption.undelivered += delivered // the next socket gets them in any case
		s.attach(o, now)
	case err != nil:
		o.fail(delivered, now)
	default:
		o.writeWaiting(delivered, now)
	}
}

// writeWaiting continues when the socket has taken a write with delivered events, and writes the waiting frames until
// the socket is full again.
func (o *Outbox) writeWaiting(delivered int, now time.Time) {
	s := o.shard
	s.counts.deliveries += delivered
	if o.answerAt(answerInFlight) {
		o.finishAnswer()
	}
	if o.state == outboxEnded {
		return
	}
	for {
		waited := o.waiting.bytes
		since, waits := o.waiting.oldest()
		next, moved := o.nextWrite(now)
		if o.waiting.answer == 0 {
			o.moveAnswer(answerWaits, answerCollected)
		}
		o.hold(o.waiting.bytes - waited)
		if len(next) == 0 {
			s.buffers.put(next)
			if _, more := o.waiting.oldest(); more {
				continue // the events before a large frame have expired
			}
			break
		}
		n, ok := s.write(o, next)
		if !ok {
			o.fail(moved, now)
			return
		}
		if n < len(next) {
			o.writeLater(next[n:], moved)
			if waits {
				s.lagging.set(o, since)
			}
			return
		}
		o.written(next, moved)
	}
	o.full = false
	s.fullOutboxes--
	s.lagging.remove(o)
	s.accounts.close(o.waiting.account)
	o.waiting = nil
	o.resumeReplay()
	if o.state == outboxClosing {
		s.completeEnd(o, o.reason)
	}
}

// drainBytes bounds what one write takes out of the frames that wait behind a full socket: newer states cannot replace
// those in it any more, and a slow client takes long to read it.
const drainBytes = 16 << 10

// nextWrite takes the frames of the next write out of those that wait. It returns the number of events in it. The write
// is empty when nothing waits. A large frame that no other outbox receives is a write of its own.
func (o *Outbox) nextWrite(now time.Time) (next []byte, moved int) {
	limit := min(o.shard.options.Outbox.WriteBytes, drainBytes)
	if frame, counted := o.waiting.takeLarge(limit); frame != nil {
		if counted {
			o.keepLarge(frame)
		}
		return frame, 0
	}
	var keep func(numbered)
	if o.resumption != nil {
		keep = o.keep
	}
	return o.waiting.next(o.shard.buffers.get(), limit, o.protocol, now,
		func(b *broadcast) { o.dropped(b, DropExpired, now) }, keep)
}

// overdue reports whether a frame has waited for longer than the bound.
func (o *Outbox) overdue(now time.Time) bool {
	if o.waiting == nil || o.resumption != nil && o.resumption.detached {
		return false
	}
	since, ok := o.waiting.oldest()
	return ok && now.Sub(since) > o.shard.options.Outbox.Age
}
