package fanout

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/subscriptions"
)

// Shard owns a part of the outboxes. One goroutine, run, does everything that happens to them, in the order in which
// the inbox has it; it never waits for a socket.
type Shard struct {
	// Static after construction.
	index    int
	options  *Options
	registry *subscriptions.Registry
	metrics  *metrics
	inbox    inbox
	stopped  chan struct{} // closed when run has ended

	// Used by anyone.
	backlog   atomic.Int64  // cost of the events in the inbox
	waiters   atomic.Int32  // goroutines in admit
	room      chan struct{} // a token when the backlog has become small while somebody waited
	announced atomic.Uint64 // changes with additions that Apply has begun
	open      *[numProtocols]atomic.Int64

	// Owned by run.
	table     *subscriptions.Table[*Outbox]
	wheel     wheel
	buffers   buffers
	touched   []*Outbox // outboxes with something in buf
	collected int       // bytes in their buf
	scratch   []byte    // the frames of writeRun
	settled   uint64    // changes with additions that were made
	writers   sync.WaitGroup
	counts    counts

	waitingBytes, reportedBytes    int
	fullOutboxes, reportedOutboxes int
}

// counts are kept in plain integers during a turn and added to the metrics at its end.
type counts struct {
	deliveries, writes, bytes int
	dropped                   [numDropReasons]int
}

func newShard(index int, o *Options, m *metrics, open *[numProtocols]atomic.Int64) *Shard {
	return &Shard{
		index:    index,
		options:  o,
		registry: o.Registry,
		metrics:  m,
		inbox:    newInbox(),
		stopped:  make(chan struct{}),
		room:     make(chan struct{}, 1),
		open:     open,
		table:    subscriptions.NewTable[*Outbox](),
	}
}

// run does the shard's work until ctx ends, then ends all outboxes.
func (s *Shard) run(ctx context.Context) {
	defer close(s.stopped)
	ticker := time.NewTicker(s.options.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.inbox.wake:
			if first := s.inbox.take(); first != nil {
				s.turn(first)
			}
		case now := <-ticker.C:
			s.keepAlive(now)
		case <-ctx.Done():
			s.stop()
			return
		}
	}
}

// turn does everything that was in the inbox and then writes what it touched.
func (s *Shard) turn(first *item) {
	now := time.Now()
	var done int64
	if run := sameEntry(first); run > 0 {
		done = s.writeRun(first, run, now)
	} else {
		for it := first; it != nil; it = it.next {
			done += s.do(it, now)
			if s.collected > turnBytes {
				s.flush()
			}
		}
		s.flush()
	}
	if done > 0 && s.backlog.Add(-done) <= s.options.Backlog/2 && s.waiters.Load() > 0 {
		s.makeRoom()
	}
	s.report()
}

// do does one item and returns its cost.
func (s *Shard) do(it *item, now time.Time) (cost int64) {
	o := it.box
	switch it.kind {
	case itemEvent:
		s.deliver(it.broadcast, now)
		return it.broadcast.cost
	case itemOpen:
		_, next, _ := o.writer.KeepAlive(now)
		s.wheel.add(o, s.ticks(next))
	case itemSend:
		o.sends.Add(-1)
		if o.state == outboxOpen {
			o.add(it.frame, now)
		}
	case itemChange:
		s.change(o, it.change, now)
	case itemClose:
		s.end(o, EndClosed, now, it.frame...)
		for _, e := range it.entries {
			s.abandon(e)
		}
	case itemDrained:
		o.drained(it.frame, it.err, now)
	}
	return 0
}

// sameEntry says how many items there are if all of them are events of one topic, else zero.
func sameEntry(first *item) (run int) {
	for it := first; it != nil; it = it.next {
		if it.kind != itemEvent || it.broadcast.entry != first.broadcast.entry {
			return 0
		}
		run++
	}
	return run
}

// deliver appends an event to the outboxes of its listeners.
func (s *Shard) deliver(b *broadcast, now time.Time) {
	listeners := s.table.Subscribers(b.entry)
	if len(listeners) == 0 {
		s.forget(b.entry)
		return
	}
	for i := range listeners {
		if o := listeners[i].Who; o.state == outboxOpen {
			o.addEvent(b, listeners[i].ID, now)
		}
	}
}

// writeRun delivers events of one topic without going through the outboxes: their frames are put side by side once,
// and for each listener only the subscription ids are written over before the write. A kilobyte per listener is
// then neither copied nor pushed out of the processor's cache. Sockets that are full take the other way.
func (s *Shard) writeRun(first *item, run int, now time.Time) (cost int64) {
	listeners := s.table.Subscribers(first.broadcast.entry)
	if len(listeners) == 0 {
		s.forget(first.broadcast.entry)
	}
	for it := first; it != nil; {
		// As many events as one write may carry.
		from, size := it, 0
		for ; it != nil && (size == 0 || size < s.options.WriteBytes); it = it.next {
			size += max(len(it.broadcast.frames[ProtocolJSON].Bytes), len(it.broadcast.frames[ProtocolMessagePack].Bytes))
			cost += it.broadcast.cost
		}
		for p := range numProtocols {
			s.writeChunk(from, it, p, listeners, now)
		}
	}
	return cost
}

// writeChunk writes the events from first up to, not including, end to the listeners that speak p.
func (s *Shard) writeChunk(first, end *item, p Protocol, listeners []subscriptions.Subscriber[*Outbox], now time.Time) {
	buf, events := s.scratch[:0], 0
	for it := first; it != end; it = it.next {
		if f := it.broadcast.frames[p].Bytes; f != nil {
			buf = append(buf, f...)
			events++
		}
	}
	s.scratch = buf
	if events == 0 {
		return
	}
	for i := range listeners {
		o := listeners[i].Who
		if o.protocol != p || o.state != outboxOpen {
			continue
		}
		if o.full {
			for it := first; it != end; it = it.next {
				o.addEvent(it.broadcast, listeners[i].ID, now)
			}
			continue
		}
		start := 0
		for it := first; it != end; it = it.next {
			if f := &it.broadcast.frames[p]; f.Bytes != nil {
				listeners[i].ID.Put(buf[start+f.IDOffset:])
				start += len(f.Bytes)
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
	if cap(s.scratch) > keepBytes {
		s.scratch = nil
	}
}

// write gives p to the socket without waiting and says how much of it the socket took; not ok: the socket is dead.
func (s *Shard) write(o *Outbox, p []byte) (n int, ok bool) {
	n, err := o.writer.TryWrite(p)
	s.counts.writes++
	s.counts.bytes += n
	return n, err == nil
}

// flush writes every touched outbox.
func (s *Shard) flush() {
	// Ending an outbox may touch it again, at the end of the list.
	for i := 0; i < len(s.touched); i++ {
		o := s.touched[i]
		o.touched = false
		o.flush()
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
	s.collected = 0
}

// change makes a Change.
func (s *Shard) change(o *Outbox, c *Change, now time.Time) {
	if len(c.Add) > 0 {
		s.settled++
	}
	if o.state != outboxOpen {
		for i := range c.Add {
			s.registry.Release(c.Add[i].Entry)
		}
		for _, e := range c.Remove {
			s.abandon(e)
		}
		return
	}
	if c.Frame != nil {
		o.add(c.Frame, now)
	}
	for _, e := range c.Remove {
		if s.table.Remove(e, o) {
			s.forget(e)
		}
		s.registry.Release(e)
	}
	for i := range c.Add {
		s.table.Add(c.Add[i].Entry, o, c.Add[i].ID)
	}
}

// abandon ends one subscription of an outbox that has ended.
func (s *Shard) abandon(e *subscriptions.Entry) {
	if s.table.Abandon(e, func(o *Outbox) bool { return o.state != outboxOpen }) {
		s.forget(e)
	}
	s.registry.Release(e)
}

// forget stops the events of an entry from coming to this shard. While additions are on their way in the inbox it
// leaves that to a later time: one of them could be for this entry.
func (s *Shard) forget(e *subscriptions.Entry) {
	interest := e.Interest()
	if s.announced.Load() == s.settled {
		e.Forget(s.index, interest)
	}
}

// end begins the end of an outbox: events that wait are dropped, and the final bytes are the last that is written.
func (s *Shard) end(o *Outbox, reason EndReason, now time.Time, final ...byte) {
	if o.state != outboxOpen {
		return
	}
	o.state, o.reason = outboxClosing, reason
	if reason != EndClosed {
		final = o.writer.Final(reason)
	}
	if o.full {
		s.dropWaiting(o, reason)
		if len(final) > 0 {
			o.waiting.push(pending{frame: final, since: now}, o.protocol)
			s.waitingBytes += len(final)
		}
		return
	}
	if len(final) == 0 && len(o.buf) == 0 {
		s.ended(o, reason)
		return
	}
	o.touch()
	o.buf = append(o.buf, final...)
}

// dropWaiting forgets what waits behind a full socket.
func (s *Shard) dropWaiting(o *Outbox, reason EndReason) {
	s.waitingBytes -= o.waiting.bytes
	s.counts.dropped[dropReasonOf(reason)] += o.waiting.drop()
}

// ended is the end of an outbox.
func (s *Shard) ended(o *Outbox, reason EndReason) {
	if o.state == outboxEnded {
		return
	}
	if o.state == outboxClosing {
		reason = o.reason
	}
	o.state = outboxEnded
	if o.full {
		s.dropWaiting(o, reason)
		s.fullOutboxes--
		o.full, o.waiting = false, nil
	}
	if o.buf != nil {
		s.counts.dropped[dropReasonOf(reason)] += o.collected
		s.buffers.put(o.buf)
		o.buf = nil
	}
	s.wheel.remove(o)
	s.open[o.protocol].Add(-1)
	s.metrics.ends[reason].Inc()
	o.writer.Ended(reason)
}

// keepAlive moves the wheel on.
func (s *Shard) keepAlive(now time.Time) {
	s.wheel.advance(func(o *Outbox) (ticks uint32, keep bool) {
		if o.state != outboxOpen {
			return wheelSlots, true // its end is on the way, under the send timeout
		}
		if o.overdue(now) {
			s.end(o, EndSlow, now)
			return wheelSlots, o.state != outboxEnded
		}
		frame, next, ok := o.writer.KeepAlive(now)
		if !ok {
			s.end(o, EndSilent, now)
			return wheelSlots, o.state != outboxEnded
		}
		// A ping behind a full socket tells the peer nothing that the bytes before it do not.
		if frame != nil && !o.full {
			o.add(frame, now)
		}
		return s.ticks(next), true
	})
	s.flush()
	s.report()
}

// ticks is the number of ticks in d, rounded up.
func (s *Shard) ticks(d time.Duration) uint32 {
	n := (d + s.options.Tick - 1) / s.options.Tick
	return uint32(min(max(n, 1), wheelSlots)) //nolint:gosec // between 1 and 64
}

// admit waits until the backlog has room. It is the back-pressure on whoever dispatches: a shard never waits for a
// socket, so what keeps it busy is work, and putting more of it in front of a busy shard would only make all of it
// late.
func (s *Shard) admit() {
	if s.backlog.Load() <= s.options.Backlog {
		return
	}
	s.metrics.stalls.Inc()
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for s.backlog.Load() > s.options.Backlog {
		select {
		case <-s.room:
		case <-s.stopped:
			return
		}
	}
	s.makeRoom() // for the next who waits
}

func (s *Shard) makeRoom() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// stop ends everything: nothing is written any more.
func (s *Shard) stop() {
	for it := s.inbox.shut(); it != nil; it = it.next {
		switch it.kind {
		case itemOpen:
			s.wheel.add(it.box, 1)
		case itemChange:
			s.releaseAll(it.change)
		case itemClose:
			s.release(it.entries)
		}
	}
	s.wheel.each(func(o *Outbox) { s.ended(o, EndClosed) })
	s.writers.Wait()
	s.report()
}

// releaseAll gives back the entries of a change that is not made any more.
func (s *Shard) releaseAll(c *Change) {
	for i := range c.Add {
		s.registry.Release(c.Add[i].Entry)
	}
	s.release(c.Remove)
}

func (s *Shard) release(entries []*subscriptions.Entry) {
	for _, e := range entries {
		s.registry.Release(e)
	}
}

// report adds what the turn counted to the metrics.
func (s *Shard) report() {
	c, m := &s.counts, s.metrics
	if c.writes > 0 {
		m.writes.Add(float64(c.writes))
		m.bytes.Add(float64(c.bytes))
	}
	if c.deliveries > 0 {
		m.deliveries.Add(float64(c.deliveries))
	}
	for reason, n := range c.dropped {
		if n > 0 {
			m.dropped[reason].Add(float64(n))
		}
	}
	*c = counts{}
	if s.waitingBytes != s.reportedBytes {
		m.waitingBytes.Add(float64(s.waitingBytes - s.reportedBytes))
		s.reportedBytes = s.waitingBytes
	}
	if s.fullOutboxes != s.reportedOutboxes {
		m.full.Add(float64(s.fullOutboxes - s.reportedOutboxes))
		s.reportedOutboxes = s.fullOutboxes
	}
}
