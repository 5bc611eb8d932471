package fanout

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/subscriptions"
)

// offerEvery is how often a busy shard offers its processor to other threads. A thread that is woken while the shard runs
// mostly waits for the kernel's next tick, which is 4 ms apart where there are 250 a second: on a single core that held
// up 10 % of the events of a quiet organization by more than 2 ms, and one of 100 by 5 ms.
const offerEvery = 250 * time.Microsecond

// maxSpareLanes is how many lanes without work a shard keeps for use again.
const maxSpareLanes = 64

// Shard owns a part of the outboxes. One goroutine, run, does everything that happens to them, in the order in which
// the inbox has it; it never waits for a socket.
type Shard struct {
	// Static after construction.
	index    int
	options  *Options
	registry *subscriptions.Registry
	metrics  *metrics
	inbox    inbox
	stopped  <-chan struct{} // closed when run is over or about to be

	total *subscriptions.Backlog // of all shards
	held  *held
	open  *[numProtocols]atomic.Int64

	// Used by anyone.
	announced atomic.Uint64 // changes with additions that Apply has begun

	// Owned by run.
	table   *subscriptions.Table[*Outbox]
	wheel   wheel
	buffers buffers
	control lane                              // frames that are no events
	lanes   map[*subscriptions.Owner]*lane    // those with work
	spare   []*lane                           // for the next that get some
	resting resting                           // lanes that are to wait for more work
	ring    ring                              // control and lanes, where they have work
	number  uint64                            // of the last event that came
	spent   int                               // by the lane that is being served, in its current step
	settled uint64                            // changes with additions that were made
	watched map[*subscriptions.Entry]*watched // topics of which states are replayed
	writers sync.WaitGroup
	counts  counts

	waitingBytes, reportedBytes    int
	fullOutboxes, reportedOutboxes int
}

// counts are kept in plain integers during a turn and added to the metrics at its end.
type counts struct {
	deliveries, writes, bytes int
	dropped                   [numDropReasons]int
}

func newShard(index int, d *Dispatcher) *Shard {
	s := &Shard{
		index:    index,
		options:  &d.options,
		registry: d.options.Registry,
		metrics:  d.metrics,
		inbox:    newInbox(),
		total:    &d.total,
		held:     &d.held,
		open:     &d.open,
		table:    subscriptions.NewTable(func(o *Outbox) bool { return o.state != outboxOpen }),
		lanes:    map[*subscriptions.Owner]*lane{},
		watched:  map[*subscriptions.Entry]*watched{},
		stopped:  d.stopped,
	}
	return s
}

// run does the shard's work until ctx ends, then ends all outboxes.
func (s *Shard) run(ctx context.Context) {
	ticker := time.NewTicker(s.options.Tick)
	defer ticker.Stop()
	rested := time.NewTimer(0)
	defer rested.Stop()
	for {
		s.work(ctx, ticker.C)
		s.report()
		if next := s.resting.next; !next.IsZero() {
			rested.Reset(time.Until(next))
		}
		select {
		case <-s.inbox.wake:
		case <-rested.C:
		case now := <-ticker.C:
			s.keepAlive(now)
		case <-ctx.Done():
			s.stop()
			return
		}
	}
}

// work serves the lanes in turn, and looks into the inbox between two of them, until nothing is left to do.
func (s *Shard) work(ctx context.Context, tick <-chan time.Time) {
	offered := time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(offered) >= offerEvery {
			s.options.offer()
			now = time.Now()
			offered = now
		}
		if it := s.inbox.take(); it != nil {
			for it != nil {
				next := it.next
				s.accept(it, now)
				it = next
			}
			now = time.Now() // what was written meanwhile is part of no round
		}
		s.awake(now)
		l := s.ring.pop()
		if l == nil {
			return
		}
		s.serve(l, now)
		switch {
		case l.works(now):
			s.ring.push(l)
		case now.Before(l.rests):
			s.resting.add(l)
		default:
			s.retire(l)
		}
		select {
		case now := <-tick:
			s.keepAlive(now)
			s.report()
		default:
		}
	}
}

// accept does an item, or, if it is an event, puts it into its lane.
func (s *Shard) accept(it *item, now time.Time) {
	o := it.box
	switch it.kind {
	case itemEvent:
		s.number++
		it.number = s.number
		s.laneOf(it.broadcast.entry.Owner(), now).put(it)
	case itemReplay:
		s.laneOf(it.broadcast.entry.Owner(), now).put(it)
	case itemReplayEnd:
		s.unwatch(o, it.change.Replay)
	case itemOpen:
		_, next, _ := o.writer.KeepAlive(now)
		s.wheel.add(o, s.ticks(next))
	case itemSend:
		o.sends.Add(-1)
		if o.state == outboxOpen {
			o.add(it.frame, now)
		}
	case itemChange:
		o.sends.Add(-1)
		s.change(o, it.change, now)
	case itemClose:
		if o.closed {
			return
		}
		o.closed = true
		s.end(o, EndClosed, now, it.change.Frame...)
		for _, e := range it.change.Remove {
			s.lost(e, s.table.Abandon(e))
		}
	case itemDrained:
		o.drained(it.frame, it.err, now)
	}
}

// laneOf finds the lane of an organization that is to get work.
func (s *Shard) laneOf(owner *subscriptions.Owner, now time.Time) *lane {
	l := s.lanes[owner]
	switch {
	case l == nil:
		if n := len(s.spare); n > 0 {
			l, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			l = &lane{}
		}
		l.owner = owner
		s.lanes[owner] = l
		s.ring.push(l)
	case l.resting && !now.Before(l.rests):
		l.resting = false
		s.ring.push(l)
	case l.resting:
		s.resting.lookAt(l.rests)
	}
	return l
}

// retire puts a lane that has no work away.
func (s *Shard) retire(l *lane) {
	if l == &s.control {
		return
	}
	delete(s.lanes, l.owner)
	l.owner, l.last, l.shared, l.rests = nil, nil, false, time.Time{}
	if len(s.spare) < maxSpareLanes {
		s.spare = append(s.spare, l)
	}
}

// serve works for a lane until its turn is over, or there is nothing to do for it now.
func (s *Shard) serve(l *lane, now time.Time) {
	for l.deficit += quantum; l.deficit > 0 && l.works(now); l.deficit -= s.spent {
		s.spent = 0
		if l.between() {
			l.round.began = now
		}
		switch {
		case l.flushing:
			s.flushNext(l)
		case l.collected >= turnBytes:
			l.flushing = true // also in the middle of a pass, which may be through any number of outboxes
		case l.pass.first != nil:
			s.step(l, now)
		case l.first != nil:
			s.begin(l, now)
		default:
			l.flushing = true
		}
		if l.between() {
			s.over(l)
		}
	}
	s.settle(l)
	if !l.works(now) {
		l.deficit = 0
	}
}

// flushNext writes the next outbox that the lane has touched.
func (s *Shard) flushNext(l *lane) {
	o := l.touched[l.flushed]
	l.touched[l.flushed] = nil
	l.flushed++
	if o.lane == l {
		o.lane = nil
		l.round.writes++
		l.round.deliveries += o.collected
		o.flush()
	}
	if l.flushed == len(l.touched) {
		l.touched, l.collected, l.flushing, l.flushed = l.touched[:0], 0, false, 0
	}
}

// write gives p to the socket without waiting and says how much of it the socket took; not ok: the socket is dead.
func (s *Shard) write(o *Outbox, p []byte) (n int, ok bool) {
	n, err := o.writer.TryWrite(p)
	s.spent += writeCost + len(p)/bytesPerCost
	s.counts.writes++
	s.counts.bytes += n
	return n, err == nil
}

// change makes a Change. What it adds to an outbox that the shard has ended stays until its session closes it.
func (s *Shard) change(o *Outbox, c *Change, now time.Time) {
	if len(c.Add) > 0 {
		s.settled++
	}
	if o.closed {
		for i := range c.Add {
			s.registry.Release(c.Add[i].Entry)
		}
		return
	}
	if c.Frame != nil && o.state == outboxOpen {
		o.add(c.Frame, now)
	}
	for _, e := range c.Remove {
		s.lost(e, s.table.Remove(e, o))
		if o.replay != nil {
			o.replay.remove(e)
		}
	}
	for _, l := range c.Add {
		s.table.Add(l.Entry, subscriptions.Subscriber[*Outbox]{Who: o, ID: l.ID, Since: s.number})
	}
	if c.Replay != nil {
		s.watch(o, c.Replay)
	}
}

// lost goes on when a subscription has left the table; empty: as the last of its topic.
func (s *Shard) lost(e *subscriptions.Entry, empty bool) {
	if empty {
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
			o.waiting.push(pending{frame: final, since: now}, s.options.WriteBytes, o.protocol)
			s.waitingBytes += o.waiting.bytes
		}
		return
	}
	if len(final) == 0 && len(o.buf) == 0 {
		s.ended(o, reason)
		return
	}
	o.touch(&s.control)
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
	o.goOn()
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
		return s.ticks(next), o.state != outboxEnded
	})
}

// ticks is the number of ticks in d, rounded up.
func (s *Shard) ticks(d time.Duration) uint32 {
	n := (d + s.options.Tick - 1) / s.options.Tick
	return uint32(min(max(n, 1), wheelSlots))
}

// stop ends everything: nothing is written any more.
func (s *Shard) stop() {
	for it := s.inbox.shut(); it != nil; it = it.next {
		switch it.kind {
		case itemOpen:
			s.wheel.add(it.box, 1)
		case itemChange, itemClose:
			s.releaseAll(it.change)
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
	for _, e := range c.Remove {
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
