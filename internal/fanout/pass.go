package fanout

import (
	"time"

	"github.com/rte-server/rte-server/internal/subscriptions"
)

// pass is one way through the listeners of a topic, with one event, or with several of a lane that has no others. It
// can be interrupted between two listeners.
type pass struct {
	first  *item // its events, up to the nil; nil: there is no pass
	last   *item
	events int
	list   *subscriptions.List[*Outbox]
	pos    int // the next listener

	// direct says that listeners are written to from frames instead of through their outboxes: the frames of all
	// events stand there side by side, and for each listener only the subscription ids are written over. A
	// kilobyte per listener is then neither copied nor pushed out of the processor's cache.
	direct bool
	frames [numProtocols][]byte
}

// begin starts a pass with the first event of the lane, unless that is a replayed state for one listener. If all its
// events are of one topic and no outbox has collected anything, which is so while the shard keeps up, they pass together
// and directly.
func (s *Shard) begin(l *lane, now time.Time) {
	if l.first.kind == itemReplay {
		s.replay(l, now)
		return
	}
	s.spent++
	p := &l.pass
	p.first, p.events, p.pos = l.first, 0, 0
	p.direct = len(l.touched) == 0 && l.switches == 0
	if p.direct {
		s.gather(l, p)
	} else {
		p.last, p.events = l.first, 1
	}
	l.cut(p.last)

	p.list = s.table.Find(p.first.broadcast.entry)
	if p.list == nil {
		s.forget(p.first.broadcast.entry)
		s.finish(l)
		return
	}
	p.list.Hold()
}

// gather takes as many events as one write may carry and puts their frames side by side.
func (s *Shard) gather(l *lane, p *pass) {
	size := 0
	for it := l.first; it != nil && (size == 0 || size < s.options.WriteBytes); it = it.next {
		longest := 0
		for protocol := range it.broadcast.frames {
			if frame := it.broadcast.frames[protocol].Bytes; frame != nil {
				if p.frames[protocol] == nil {
					p.frames[protocol] = s.buffers.get()
				}
				p.frames[protocol] = append(p.frames[protocol], frame...)
				longest = max(longest, len(frame))
			}
		}
		size += longest
		p.last = it
		p.events++
	}
}

// step delivers the pass to the next listener, and finishes it behind the last one.
func (s *Shard) step(l *lane, now time.Time) {
	p := &l.pass
	if p.pos == p.list.Len() {
		s.finish(l)
		return
	}
	s.spent++
	listener := p.list.At(p.pos)
	p.pos++
	o := listener.Who
	if o == nil || o.state != outboxOpen || listener.Since >= p.last.number {
		return
	}
	if p.direct && !o.full && len(o.buf) == 0 && listener.Since < p.first.number {
		s.writeDirect(p, o, listener)
		return
	}
	for it := p.first; it != nil && o.state == outboxOpen; it = it.next {
		if it.number > listener.Since {
			o.addEvent(l, it.broadcast, listener.ID, now)
		}
	}
}

// writeDirect writes the frames of a pass to an outbox in which nothing waits.
func (s *Shard) writeDirect(p *pass, o *Outbox, listener *subscriptions.Subscriber[*Outbox]) {
	buf := p.frames[o.protocol]
	if len(buf) == 0 {
		return // the events were dispatched before the first outbox of this protocol was opened
	}
	start, events := 0, 0
	for it := p.first; it != nil; it = it.next {
		if f := &it.broadcast.frames[o.protocol]; f.Bytes != nil {
			listener.ID.Put(buf[start+f.IDOffset:])
			start += len(f.Bytes)
			events++
		}
	}
	n, ok := s.write(o, buf)
	switch {
	case !ok:
		s.counts.dropped[DropFailed] += events
		s.ended(o, EndFailed)
	case n < len(buf):
		o.fill(append(s.buffers.get(), buf[n:]...), events)
	default:
		s.counts.deliveries += events
	}
}

// finish ends a pass.
func (s *Shard) finish(l *lane) {
	p := &l.pass
	entry := p.first.broadcast.entry
	if p.list != nil && s.table.LetGo(entry, p.list) {
		s.forget(entry)
	}
	if len(s.watched) > 0 {
		s.note(p)
	}
	var cost int64
	for it := p.first; it != nil; it = it.next {
		cost += it.broadcast.cost
	}
	entry.Owner().Backlog.Done(cost, s.options.Backlog)
	s.total.Done(cost, s.options.backlogTotal())
	for protocol, buf := range p.frames {
		if buf != nil {
			s.buffers.put(buf)
			p.frames[protocol] = nil
		}
	}
	p.first, p.last, p.list = nil, nil, nil
}
