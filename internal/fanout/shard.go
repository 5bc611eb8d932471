package fanout

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/subscriptions"
)

// yieldEvery is how often a busy shard yields its processor to other threads, if it is the only shard: with several
// processors it gained nothing (docs/tuning.md). A thread that wakes while the shard runs mostly waits for the kernel's
// next tick, which comes every 4 ms at 250 ticks per second. On a single core that delayed 10 % of the events of a
// quiet organization by more than 2 ms, and one in 100 by 5 ms.
const yieldEvery = 250 * time.Microsecond

// maxSpareQueues bounds the turn queues without work that a shard keeps for use again.
const maxSpareQueues = 64

// Shard owns a part of the outboxes. One goroutine, run, does everything that happens to them, in the order of the
// inbox. It never waits for a socket.
type Shard struct {
	// Static after construction.
	index    int
	options  *Options
	registry *registry
	metrics  *metrics
	inbox    inbox
	stopped  <-chan struct{} // closed when the context of run ends

	accounts *accounts
	total    *backlog // of all shards
	held     *heldStates
	open     *[numProtocols]atomic.Int64

	// Used by any goroutine.
	additionsBegun atomic.Uint64 // changes with additions that Apply has begun
	lagging        lagging
	sends          sends

	// Owned by run.
	table            *table
	wheel            wheel
	buffers          buffers
	control          turnQueue                    // frames that are no events
	queues           map[*organization]*turnQueue // with work, or resting
	spare            []*turnQueue                 // for the next organizations that get work
	resting          restingQueues
	utilization      utilization
	ring             ring                // control and those of queues that have work
	number           uint64              // of the last event that came
	spent            int                 // by the current queue in its current step
	additionsApplied uint64              // changes with additions that apply has made
	watched          map[*Entry]*watched // topics of which states are replayed
	writers          sync.WaitGroup
	counts           counts

	waitingBytes, reportedBytes    int
	sizes, reportedSizes           outboxSizes
	fullOutboxes, reportedOutboxes int
	resumable                      resumable
}

// counts collects plain integers during a turn; report adds them to the metrics.
type counts struct {
	deliveries, writes, bytes int
	dropped                   [numDropReasons]int
	delays, ages              ageCounts
	ahead                     int // events with a Timestamp in the future
}

func newShard(index int, d *Dispatcher) *Shard {
	return &Shard{
		index:    index,
		options:  &d.options,
		registry: d.registry,
		metrics:  d.metrics,
		inbox:    newInbox(),
		accounts: d.accounts,
		total:    &d.total,
		held:     &d.held,
		open:     &d.open,
		table: subscriptions.NewTable[organization](func(o *Outbox) bool {
			return o.state != outboxOpen
		}),
		queues:  map[*organization]*turnQueue{},
		watched: map[*Entry]*watched{},
		stopped: d.stopped,
	}
}

// stoppedTimer returns a timer that fires only after Reset.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(math.MaxInt64)
	t.Stop()
	return t
}

// run does the shard's work until ctx ends, then ends all outboxes.
func (s *Shard) run(ctx context.Context) {
	ticker := time.NewTicker(s.options.Tick)
	defer ticker.Stop()
	rested := stoppedTimer()
	defer rested.Stop()
	for {
		s.work(ctx, ticker.C)
		s.report()
		if next := s.resting.next; !next.IsZero() {
			rested.Reset(time.Until(next))
		}
		select {
		case <-s.inbox.wake.C():
		case <-rested.C:
		case now := <-ticker.C:
			s.keepAlive(now)
		case <-ctx.Done():
			s.stop()
			return
		}
	}
}

// work serves the turn queues round robin, and empties the inbox between two of them, until nothing is left to do.
func (s *Shard) work(ctx context.Context, tick <-chan time.Time) {
	yielded := time.Now()
	s.utilization.advance(yielded, false)
	for ctx.Err() == nil {
		now := time.Now()
		if s.options.yield != nil && now.Sub(yielded) >= yieldEvery {
			s.options.yield()
			now = time.Now()
			yielded = now
		}
		if c := s.inbox.take(); c != nil {
			for c != nil {
				next := c.next
				s.accept(c, now)
				c = next
			}
			now = time.Now() // writes that accept made are not part of a round
		}
		s.wakeRested(now)
		q := s.ring.pop()
		if q == nil {
			s.utilization.advance(now, true)
			return
		}
		s.serve(q, now)
		switch {
		case q.hasWork(now):
			s.ring.push(q)
		case now.Before(q.restsUntil):
			s.resting.add(q)
		default:
			s.retire(q)
		}
		select {
		case now := <-tick:
			s.keepAlive(now)
			s.report()
		default:
		}
	}
}

// accept executes a command; events go into the turn queue of their organization.
func (s *Shard) accept(c *command, now time.Time) {
	o := c.outbox
	switch c.kind {
	case commandEvent:
		s.number++
		c.number = s.number
		s.queueOf(c.broadcast.entry.Organization(), now).push(c)
	case commandReplay:
		s.queueOf(c.broadcast.entry.Organization(), now).push(c)
	case commandEndReplay:
		s.endReplay(o, c.replay)
	case commandOpen:
		_, next, _ := o.writer.KeepAlive(now)
		s.wheel.add(o, s.ticks(next))
	case commandSend:
		o.sends.Add(-1)
		if o.state == outboxOpen {
			o.addControl(c.frame, now)
		}
		s.sends.put(c)
	case commandApply:
		s.apply(o, c.change, now)
	case commandClose:
		if o.closed {
			return
		}
		o.closed = true
		s.end(o, EndClosed, now, c.change.Frame...)
		for _, e := range c.change.Remove {
			s.release(e, s.table.Abandon(e))
		}
	case commandDrained:
		o.drained(c.frame, c.err, now)
	case commandLost:
		s.lost(o, c.number)
	case commandAttach:
		s.attach(o, now)
	}
}

// queueOf returns the turn queue of an organization that gets work.
func (s *Shard) queueOf(o *organization, now time.Time) *turnQueue {
	q := s.queues[o]
	switch {
	case q == nil:
		if n := len(s.spare); n > 0 {
			q, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			q = &turnQueue{}
		}
		q.organization = o
		s.queues[o] = q
		s.ring.push(q)
	case q.resting && !now.Before(q.restsUntil):
		q.resting = false
		s.ring.push(q)
	case q.resting:
		s.resting.scheduleAt(q.restsUntil)
	}
	return q
}

// retire puts away a turn queue without work.
func (s *Shard) retire(q *turnQueue) {
	if q == &s.control {
		return
	}
	delete(s.queues, q.organization)
	q.organization, q.last, q.batches, q.restsUntil = nil, nil, false, time.Time{}
	if len(s.spare) < maxSpareQueues {
		s.spare = append(s.spare, q)
	}
}

// serve works on a turn queue until its turn is over or it has no work for now.
func (s *Shard) serve(q *turnQueue, now time.Time) {
	deliveries, bytes := s.counts.deliveries, s.counts.bytes
	for q.deficit += quantum; q.deficit > 0 && q.hasWork(now); q.deficit -= s.spent {
		s.spent = 0
		if q.betweenRounds() {
			q.round.began = now
		}
		switch {
		case q.flushing:
			s.flushNext(q)
		case q.collectedEnough():
			q.flushing = true // even in the middle of a pass, whose list has no bound
		case q.pass.first != nil:
			s.step(q, now)
		case q.first != nil:
			s.beginPass(q, now)
		default:
			q.flushing = true
		}
		if q.betweenRounds() {
			s.endRound(q)
		}
	}
	s.accountSteps(q)
	if !q.hasWork(now) {
		q.deficit = 0
	}
	if q.organization != nil {
		q.organization.deliveries.Add(int64(s.counts.deliveries - deliveries))
		q.organization.bytes.Add(int64(s.counts.bytes - bytes))
	}
}

// flushNext writes the next outbox that the queue has touched.
func (s *Shard) flushNext(q *turnQueue) {
	o := q.touched[q.flushed]
	q.touched[q.flushed] = nil
	q.flushed++
	if o.queue == q {
		o.queue = nil
		q.round.writes++
		q.round.deliveries += o.collected
		o.flush()
	}
	if q.flushed == len(q.touched) {
		q.touched, q.collected, q.buffered, q.flushing, q.flushed = q.touched[:0], 0, 0, false, 0
		s.measure(q)
	}
}

// write writes p to the socket without blocking and returns how many bytes the socket took. ok is false if the socket
// has failed.
func (s *Shard) write(o *Outbox, p []byte) (n int, ok bool) {
	n, err := o.writer.TryWrite(p)
	s.spent += writeCost + len(p)/bytesPerCost
	s.counts.writes++
	s.counts.bytes += n
	return n, err == nil
}

// apply makes a Change. Additions to an outbox that the shard itself has ended stay until the session closes it.
func (s *Shard) apply(o *Outbox, c *Change, now time.Time) {
	if len(c.Add) > 0 {
		s.additionsApplied++
	}
	if o.closed {
		for i := range c.Add {
			s.registry.Release(c.Add[i].Entry)
		}
		o.finishAnswer()
		return
	}
	if c.Frame != nil && o.state == outboxOpen {
		o.addFrame(c.Frame, nil, true, now)
	}
	switch {
	case c.Answer == nil:
	case c.Answer.frame != nil && o.state == outboxOpen:
		o.addFrame(c.Answer.frame, c.Answer, true, now)
	default:
		o.finishAnswer()
	}
	for _, e := range c.Remove {
		s.release(e, s.table.Remove(e, o))
		if o.replay != nil {
			o.replay.remove(e)
		}
	}
	for _, a := range c.Add {
		s.table.Add(a.Entry, subscriber{Target: o, ID: a.ID, Since: s.number})
	}
	if c.Replay != nil {
		s.beginReplay(o, c.Replay)
	}
}

// release releases the entry of a subscription that has left the table. empty reports whether it was the shard's last
// one.
func (s *Shard) release(e *Entry, empty bool) {
	if empty {
		s.withdraw(e)
	}
	s.registry.Release(e)
}

// withdraw stops the events of an entry from coming to this shard. It leaves that to a later call while additions are
// in the inbox, because one of them could be to this entry.
func (s *Shard) withdraw(e *Entry) {
	version := e.Version()
	if s.additionsBegun.Load() == s.additionsApplied {
		e.RemoveShard(s.index, version)
	}
}

// end begins the end of an outbox. It drops the events that wait; the final bytes are the last that is written.
func (s *Shard) end(o *Outbox, reason EndReason, now time.Time, final ...byte) {
	if o.state != outboxOpen {
		return
	}
	o.state, o.reason = outboxClosing, reason
	o.traceEnd(reason, now)
	if reason != EndClosed {
		final = o.writer.Final(reason)
	}
	if o.resumption != nil {
		o.resumption.end.Store(true) // before the client can know of the end
		if o.resumption.detached {
			s.completeEnd(o, reason)
			return
		}
	}
	if o.full {
		s.dropWaiting(o, reason)
		if len(final) > 0 {
			o.waiting.push(pending{frame: final, since: now}, s.options.Outbox.WriteBytes, o.protocol)
			o.hold(o.waiting.bytes)
		}
		return
	}
	if len(final) == 0 && len(o.buf) == 0 {
		s.completeEnd(o, reason)
		return
	}
	o.collect(final)
}

// dropWaiting drops the frames behind a full socket.
func (s *Shard) dropWaiting(o *Outbox, reason EndReason) {
	if o.answerAt(answerWaits) {
		o.finishAnswer()
	}
	o.hold(-o.waiting.bytes)
	now := time.Now()
	o.waiting.drop(func(b *broadcast) { o.dropped(b, dropReasonOf(reason), now) })
}

// completeEnd ends an outbox for good and calls Writer.Ended.
func (s *Shard) completeEnd(o *Outbox, reason EndReason) {
	if o.state == outboxEnded {
		return
	}
	if o.state == outboxClosing {
		reason = o.reason
	} else {
		o.traceEnd(reason, time.Now())
	}
	o.state = outboxEnded
	if o.full {
		s.dropWaiting(o, reason)
		s.fullOutboxes--
		s.lagging.remove(o)
		o.hold(-o.inFlightBytes)
		s.accounts.close(o.waiting.account)
		o.full, o.waiting, o.inFlightBytes = false, nil, 0
	}
	if o.buf != nil {
		o.droppedSome(o.collected, dropReasonOf(reason), time.Now())
		s.buffers.put(o.buf)
		o.buf = nil
	}
	o.endResumption(reason)
	o.resumeReplay()
	o.finishAnswer()
	s.wheel.remove(o)
	s.open[o.protocol].Add(-1)
	s.metrics.ends[reason].Inc()
	o.writer.Ended(reason)
}

// keepAlive advances the wheel by one tick.
func (s *Shard) keepAlive(now time.Time) {
	s.wheel.advance(func(o *Outbox) (ticks uint32, keep bool) {
		if o.state != outboxOpen {
			return wheelSlots, true // the send timeout bounds its end
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
		// Behind a full socket a ping is redundant: the bytes in front of it keep the peer alive as well.
		if frame != nil && !o.full {
			o.addFrame(frame, nil, false, now)
		}
		if o.resumption != nil {
			o.forget()
		}
		return s.ticks(next), o.state != outboxEnded
	})
}

// ticks returns the number of ticks in d, rounded up.
func (s *Shard) ticks(d time.Duration) uint32 {
	n := (d + s.options.Tick - 1) / s.options.Tick
	return uint32(min(max(n, 1), wheelSlots))
}

// stop ends all outboxes without writing anything more.
func (s *Shard) stop() {
	for c := s.inbox.close(); c != nil; c = c.next {
		switch c.kind {
		case commandOpen:
			s.wheel.add(c.outbox, 1)
		case commandApply, commandClose:
			s.releaseAll(c.change)
			c.outbox.finishAnswer()
		case commandAttach:
			c.outbox.resumption.refuseNext()
		}
	}
	s.wheel.each(func(o *Outbox) { s.completeEnd(o, EndClosed) })
	s.writers.Wait()
	s.report()
}

// releaseAll releases the entries of a change that will not be made.
func (s *Shard) releaseAll(c *Change) {
	for i := range c.Add {
		s.registry.Release(c.Add[i].Entry)
	}
	for _, e := range c.Remove {
		s.registry.Release(e)
	}
}
