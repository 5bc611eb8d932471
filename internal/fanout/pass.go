package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// pass delivers events of one topic to its subscribers, one subscriber after the other. It can be interrupted between
// two subscribers. While the turn queue has events of one topic only, a new event joins at the present subscriber and
// leaves when the pass returns to that subscriber. So under a flood the pass never ends, and each write to a subscriber
// has all events since the last one. An event takes one round; waiting for the next pass would cost it up to two.
type pass struct {
	first, last *command // its events, in order; nil: there is no pass
	list        *subscribers
	pos         int // place of the next subscriber
	steps       int // since the last accountSteps

	// direct passes write to subscribers from frames instead of through their outboxes. The frames of all events lie
	// side by side, and for each subscriber only the subscription ids are overwritten. A kilobyte per subscriber is
	// then neither copied nor evicted from the processor's cache.
	direct bool
	frames [numProtocols]window
}

// window holds the frames of the events of a pass side by side. Frames are added at the end and removed at the front.
type window struct {
	buf   []byte // nil: no frame has been added
	start int    // of the first frame in buf
}

func (w *window) bytes() []byte { return w.buf[w.start:] }

func (w *window) add(frame []byte) {
	if w.start > len(w.buf)/2 {
		w.buf, w.start = w.buf[:copy(w.buf, w.bytes())], 0
	}
	w.buf = append(w.buf, frame...)
}

// beginPass starts a pass with the first event of the queue, or delivers that event if it is a replayed state. The pass
// is direct if all events of the queue are of one topic and no outbox has collected anything, as is the case while the
// shard keeps up.
func (s *Shard) beginPass(q *turnQueue, now time.Time) {
	if q.first.kind == commandReplay {
		s.deliverReplayed(q, now)
		return
	}
	s.spent++
	p := &q.pass
	entry := q.first.broadcast.entry
	p.direct = len(q.touched) == 0 && q.switches == 0
	p.list, p.pos = s.table.Find(entry), 0
	s.join(q)
	if p.list == nil {
		s.withdraw(entry)
		s.leave(q)
		return
	}
	p.list.Hold()
}

// canJoin reports whether the next event of the queue can join its pass. A list with too many ended subscribers must be
// let go first.
func (s *Shard) canJoin(q *turnQueue) bool {
	p, c := &q.pass, q.first
	return c != nil && p.direct && c.kind == commandEvent && c.broadcast.entry == p.first.broadcast.entry &&
		len(q.touched) == 0 && p.room(s.options.Outbox.WriteBytes) && !p.list.Stale()
}

// room reports whether another event would fit into one write.
func (p *pass) room(writeBytes int) bool {
	for protocol := range p.frames {
		if len(p.frames[protocol].bytes()) >= writeBytes {
			return false
		}
	}
	return true
}

// join moves the first event of the queue into its pass.
func (s *Shard) join(q *turnQueue) {
	s.accountSteps(q)
	p, c := &q.pass, q.pop()
	q.round.events++
	c.from, c.left = p.pos, c.broadcast.cost
	if p.first == nil {
		p.first = c
	} else {
		p.last.next = c
	}
	p.last = c
	if !p.direct {
		return
	}
	for protocol := range numProtocols {
		if frame := c.broadcast.frame(protocol).Bytes; frame != nil {
			w := &p.frames[protocol]
			if w.buf == nil {
				w.buf = s.buffers.get()
			}
			w.add(frame)
		}
	}
}

// leave removes the first event, which all subscribers have received, from a pass.
func (s *Shard) leave(q *turnQueue) {
	s.accountSteps(q)
	p := &q.pass
	c := p.first
	p.first = c.next
	if len(s.watched) > 0 {
		s.recordDelivered(c)
	}
	b := c.broadcast
	if p.direct {
		for protocol := range numProtocols {
			p.frames[protocol].start += len(b.frame(protocol).Bytes)
		}
	}
	s.account(q, b, c.left)
	switch {
	case p.list == nil: // the last subscriber has gone
	case p.direct && len(q.touched) == 0:
		s.counts.delivered(b, time.Now())
	default:
		q.unmeasured = append(q.unmeasured, b)
	}
	if p.first == nil {
		s.endPass(p, b.entry)
	}
}

// accountSteps takes the deliveries of the last steps off the backlog. Doing so on the way, instead of when an event
// leaves, spreads the events that join over the subscribers: events that joined together would leave together, and
// their publishers would wait for all of them (docs/tuning.md).
func (s *Shard) accountSteps(q *turnQueue) {
	p := &q.pass
	if p.steps == 0 {
		return
	}
	var deliveries int64
	for c := p.first; c != nil; c = c.next {
		part := min(c.broadcast.cost*int64(p.steps)/int64(p.list.Len()), c.left)
		c.left -= part
		deliveries += part
	}
	p.steps = 0
	s.account(q, p.first.broadcast, deliveries)
}

// account takes deliveries off the backlog.
func (s *Shard) account(q *turnQueue, b *broadcast, deliveries int64) {
	awaited := b.entry.Organization().backlog.done(deliveries, b.limit)
	awaited = s.total.done(deliveries, s.options.Flow.totalLimit()) || awaited
	q.round.awaited = q.round.awaited || awaited
}

// endPass ends a pass without events.
func (s *Shard) endPass(p *pass, entry *Entry) {
	if p.list != nil && s.table.LetGo(entry, p.list) {
		s.withdraw(entry)
	}
	for protocol := range p.frames {
		if w := &p.frames[protocol]; w.buf != nil {
			s.buffers.put(w.buf)
			*w = window{}
		}
	}
	p.last, p.list = nil, nil
}

// step lets events join the pass, delivers the pass to the next subscriber, and removes the events that have come
// round.
func (s *Shard) step(q *turnQueue, now time.Time) {
	p := &q.pass
	for s.canJoin(q) {
		s.join(q)
	}
	if p.direct && p.pos%warmed == 0 && p.list.Len() > 1 {
		p.warm()
	}
	s.spent++
	s.deliver(q, p.list.At(p.pos), now)
	p.steps++
	if p.pos++; p.pos == p.list.Len() {
		p.pos = 0
	}
	for p.first != nil && p.first.from == p.pos {
		s.leave(q)
	}
}

// warmed is the number of subscribers whose memory a direct pass reads ahead.
const warmed = 16

// warm reads the memory that the writes to the next subscribers need. The writes before evict it from the processor's
// fast caches, since the kernel touches 100 times as much. Read ahead, the processor waits for the memory of several
// subscribers at once, and not for each in turn (docs/tuning.md).
func (p *pass) warm() {
	for i := p.pos; i < min(p.pos+warmed, p.list.Len()); i++ {
		if o := p.list.At(i).Target; o != nil {
			o.writer.Warm()
		}
	}
}

// deliver gives the events of the pass to a subscriber.
func (s *Shard) deliver(q *turnQueue, to *subscriber, now time.Time) {
	p, o := &q.pass, to.Target
	if o == nil || o.state != outboxOpen || to.Since >= p.last.number {
		return
	}
	if p.direct && to.Since < p.first.number {
		o.flushOther(q)
		switch {
		case o.state != outboxOpen:
			return
		case !o.full && len(o.buf) == 0:
			s.writeDirect(q, o, to)
			return
		}
	}
	for c := p.first; c != nil && o.state == outboxOpen; c = c.next {
		if c.number > to.Since {
			o.addEvent(q, c.broadcast, to.ID, now)
		}
	}
}

// each calls f with each event of the pass that has a frame of a protocol.
func (p *pass) each(protocol Protocol, f func(*broadcast)) {
	for c := p.first; c != nil; c = c.next {
		if c.broadcast.frame(protocol).Bytes != nil {
			f(c.broadcast)
		}
	}
}

// writeDirect writes the frames of a pass to an outbox in which nothing waits.
func (s *Shard) writeDirect(q *turnQueue, o *Outbox, to *subscriber) {
	p := &q.pass
	buf := p.frames[o.protocol].bytes()
	if len(buf) == 0 {
		return // the events were dispatched before the first outbox of this protocol was opened
	}
	var id [events.IDLen]byte
	to.ID.Put(id[:])
	start, delivered := 0, 0
	for c := p.first; c != nil; c = c.next {
		if f := c.broadcast.frame(o.protocol); f.Bytes != nil {
			copy(buf[start+f.IDOffset:], id[:])
			start += len(f.Bytes)
			delivered++
		}
	}
	q.round.writes++
	q.round.deliveries += delivered
	if o.resumption != nil {
		p.each(o.protocol, func(b *broadcast) { o.keep(numbered{broadcast: b, id: to.ID}) })
	}
	n, ok := s.write(o, buf)
	switch {
	case !ok && o.resumption == nil:
		now := time.Now()
		p.each(o.protocol, func(b *broadcast) { o.dropped(b, DropFailed, now) })
		s.completeEnd(o, EndFailed)
	case !ok:
		o.fail(delivered, time.Now())
	case n < len(buf):
		o.writeLater(append(s.buffers.get(), buf[n:]...), delivered)
	default:
		s.counts.deliveries += delivered
	}
}
