package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// pass is a way through the listeners of a topic, with one event, or, while its lane has no others, with those of the
// topic as they come: an event joins the pass where that is, and leaves it when it comes by there again. Under a flood
// that makes an endless round trip on which each listener is written what has come since its last write. An event takes
// one lap then; if it had to wait for the next pass it would take up to two. A pass can be interrupted between two
// listeners.
type pass struct {
	first, last *item // its events, in order; nil: there is no pass
	list        *subscriptions.List[*Outbox]
	pos         int // the next listener
	steps       int // made since the last settle

	// direct says that listeners are written to from frames instead of through their outboxes: the frames of all
	// events stand there side by side, and for each listener only the subscription ids are written over. A
	// kilobyte per listener is then neither copied nor pushed out of the processor's cache.
	direct bool
	frames [numProtocols]window
}

// window is the frames of the events of a pass, side by side; frames are added behind and taken off in front.
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

// begin starts a pass with the first event of the lane, unless that is a replayed state for one listener. If all its
// events are of one topic and no outbox has collected anything, which is so while the shard keeps up, it is direct.
func (s *Shard) begin(l *lane, now time.Time) {
	if l.first.kind == itemReplay {
		s.replay(l, now)
		return
	}
	s.spent++
	p := &l.pass
	entry := l.first.broadcast.entry
	p.direct = len(l.touched) == 0 && l.switches == 0
	p.list, p.pos = s.table.Find(entry), 0
	s.join(l)
	if p.list == nil {
		s.forget(entry)
		s.leave(l)
		return
	}
	p.list.Hold()
}

// joins says whether the next event of the lane can join its pass. A list of which too much is stale must be let go.
func (s *Shard) joins(l *lane) bool {
	p, it := &l.pass, l.first
	return it != nil && p.direct && it.kind == itemEvent && it.broadcast.entry == p.first.broadcast.entry &&
		len(l.touched) == 0 && p.room(s.options.WriteBytes) && !p.list.Stale()
}

// room says whether another event would fit into one write.
func (p *pass) room(writeBytes int) bool {
	for protocol := range p.frames {
		if len(p.frames[protocol].bytes()) >= writeBytes {
			return false
		}
	}
	return true
}

// join takes the first event of the lane into its pass.
func (s *Shard) join(l *lane) {
	s.settle(l)
	p, it := &l.pass, l.first
	l.cut(it)
	l.round.events++
	it.from, it.left = p.pos, it.broadcast.cost
	if p.first == nil {
		p.first = it
	} else {
		p.last.next = it
	}
	p.last = it
	if !p.direct {
		return
	}
	for protocol := range p.frames {
		if frame := it.broadcast.frames[protocol].Bytes; frame != nil {
			w := &p.frames[protocol]
			if w.buf == nil {
				w.buf = s.buffers.get()
			}
			w.add(frame)
		}
	}
}

// leave takes the first event, which all listeners have got, out of a pass.
func (s *Shard) leave(l *lane) {
	s.settle(l)
	p := &l.pass
	it := p.first
	p.first = it.next
	if len(s.watched) > 0 {
		s.note(it)
	}
	b := it.broadcast
	if p.direct {
		for protocol := range p.frames {
			p.frames[protocol].start += len(b.frames[protocol].Bytes)
		}
	}
	s.done(l, b, it.left)
	if p.first == nil {
		s.finish(p, b.entry)
	}
}

// settle takes the deliveries of the last steps off the backlog. That it is done on the way and not when an event has been
// everywhere is what spreads the events that join over the listeners: those that came together would leave together, and
// whoever waits for room would have to wait for all of them.
func (s *Shard) settle(l *lane) {
	p := &l.pass
	if p.steps == 0 {
		return
	}
	var deliveries int64
	for it := p.first; it != nil; it = it.next {
		part := min(it.broadcast.cost*int64(p.steps)/int64(p.list.Len()), it.left)
		it.left -= part
		deliveries += part
	}
	p.steps = 0
	s.done(l, p.first.broadcast, deliveries)
}

// done takes deliveries off the backlog.
func (s *Shard) done(l *lane, b *broadcast, deliveries int64) {
	awaited := b.entry.Owner().Backlog.Done(deliveries, b.limit)
	awaited = s.total.Done(deliveries, s.options.backlogTotal()) || awaited
	l.round.awaited = l.round.awaited || awaited
}

// finish ends a pass.
func (s *Shard) finish(p *pass, entry *subscriptions.Entry) {
	if p.list != nil && s.table.LetGo(entry, p.list) {
		s.forget(entry)
	}
	for protocol := range p.frames {
		if w := &p.frames[protocol]; w.buf != nil {
			s.buffers.put(w.buf)
			*w = window{}
		}
	}
	p.last, p.list = nil, nil
}

// step lets events join the pass, delivers it to the next listener, and lets those leave that have been everywhere.
func (s *Shard) step(l *lane, now time.Time) {
	p := &l.pass
	for s.joins(l) {
		s.join(l)
	}
	s.spent++
	s.deliver(l, p.list.At(p.pos), now)
	p.steps++
	if p.pos++; p.pos == p.list.Len() {
		p.pos = 0
	}
	for p.first != nil && p.first.from == p.pos {
		s.leave(l)
	}
}

// deliver gives the events of the pass to a listener.
func (s *Shard) deliver(l *lane, listener *subscriptions.Subscriber[*Outbox], now time.Time) {
	p, o := &l.pass, listener.Who
	if o == nil || o.state != outboxOpen || listener.Since >= p.last.number {
		return
	}
	if p.direct && listener.Since < p.first.number {
		o.handOver(l)
		switch {
		case o.state != outboxOpen:
			return
		case !o.full && len(o.buf) == 0:
			s.writeDirect(l, o, listener)
			return
		}
	}
	for it := p.first; it != nil && o.state == outboxOpen; it = it.next {
		if it.number > listener.Since {
			o.addEvent(l, it.broadcast, listener.ID, now)
		}
	}
}

// writeDirect writes the frames of a pass to an outbox in which nothing waits.
func (s *Shard) writeDirect(l *lane, o *Outbox, listener *subscriptions.Subscriber[*Outbox]) {
	p := &l.pass
	buf := p.frames[o.protocol].bytes()
	if len(buf) == 0 {
		return // the events were dispatched before the first outbox of this protocol was opened
	}
	var id [events.IDLen]byte
	listener.ID.Put(id[:])
	start, delivered := 0, 0
	for it := p.first; it != nil; it = it.next {
		if f := &it.broadcast.frames[o.protocol]; f.Bytes != nil {
			copy(buf[start+f.IDOffset:], id[:])
			start += len(f.Bytes)
			delivered++
		}
	}
	l.round.writes++
	l.round.deliveries += delivered
	n, ok := s.write(o, buf)
	switch {
	case !ok:
		s.counts.dropped[DropFailed] += delivered
		s.ended(o, EndFailed)
	case n < len(buf):
		o.fill(append(s.buffers.get(), buf[n:]...), delivered)
	default:
		s.counts.deliveries += delivered
	}
}
