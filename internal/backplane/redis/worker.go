package redis

import (
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/peer"
	"github.com/rte-server/rte-server/internal/backplane/resp"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// worker takes one lane after the other and hands their events to the sink. It is the sequence's host for the present
// lane.
type worker struct {
	b       *Backplane
	turn    turn
	lane    *lane
	now     time.Time
	message sequence.Message // the present one; a field, so that it needs no allocation
	chunk   *resp.Chunk      // of the present message; nil: there is none
}

var _ sequence.Host = (*worker)(nil)

// run works until the scheduler ends the worker.
func (w *worker) run() {
	for l, now := w.b.scheduler.next(w); l != nil; l, now = w.b.scheduler.next(w) {
		entries, bytes := l.mailbox.take()
		if len(entries) == 0 {
			continue
		}
		w.lane, w.now = l, now
		w.work(entries)
		w.b.unqueue(l, int64(bytes))
		l.mailbox.give(entries)
		w.requestRead(l)
		w.b.scheduler.add(l)
	}
}

// work handles entries of the lane, and releases their chunks.
func (w *worker) work(entries []entry) {
	handled := int64(0) // messages of w.chunk
	for i := range entries {
		en := &entries[i]
		if en.chunk != w.chunk {
			w.release(handled)
			w.chunk, handled = en.chunk, 0
		}
		handled++
		if en.action != nil {
			en.action.run(w, w.lane, w.now)
		} else {
			w.arrive(en, w.now)
		}
	}
	w.release(handled)
}

// release releases messages of the present chunk.
func (w *worker) release(messages int64) {
	if w.chunk != nil {
		w.chunk.Release(messages)
		w.chunk = nil
	}
}

// arrive takes a message of the lane.
func (w *worker) arrive(en *entry, now time.Time) {
	switch {
	case w.lane.handle != nil:
		w.lane.handle(en.payload)
		return
	case len(en.payload) > 0 && en.payload[0] == peer.Mark:
		w.peerMessage(w.lane, en, now)
		return
	}
	w.b.receiver.Arrived()
	position, data, err := backplane.ParseMessage(en.payload)
	if err != nil {
		w.b.receiver.Refuse(w.lane.organization, len(en.payload), err)
		return
	}
	m := &w.message
	m.Position, m.Era, m.Shared = position, en.era, true
	var whole, ok bool
	m.Event, whole, ok = w.b.receiver.Skim(w.lane.organization, data, w.b.wanted)
	m.Skimmed = ok && !whole
	if m.Event.Tier = events.TierPlain; position.N > 0 {
		m.Event.Tier = events.TierCounted
	}
	if whole {
		m.Event.Arrived = time.Unix(0, en.arrived)
	}
	if m.Skimmed {
		w.b.receiver.Unwanted(&m.Event, now)
	}
	w.lane.sequence.Live(w, now, m)
}

// requestRead queues a read of the lane's journal, or a peer query, if the lane needs one.
func (w *worker) requestRead(l *lane) {
	link := l.link.Load()
	if link == nil {
		return // its next link will subscribe it, and then it will need another read
	}
	switch read, ok := l.sequence.Want(); {
	case !ok:
	case read.Peers:
		w.b.peers.Query(l, read)
	default:
		link.journal.add(l, read)
	}
}

// Deliver implements sequence.Host. Whether the sink wants a state was not checked before: states are kept in any
// case.
func (w *worker) Deliver(ev *events.Event) {
	w.lane.states.Add(w.b.options.Catalog, ev, w.now, &w.b.states)
	if w.lane.states.Any() {
		w.b.checkups.add(w.lane)
	}
	if d := w.b.options.Catalog.Definition(ev.Type); d != nil && d.State() && !w.b.options.Sink.Wants(ev.Topic) {
		w.b.receiver.Unwanted(ev, w.now)
		return
	}
	if w.chunk != nil {
		w.chunk.Keep()
	}
	w.b.receiver.Dispatch(ev)
}

// StateKey implements sequence.Host.
func (w *worker) StateKey(ev *events.Event) (key events.ID, ok bool) {
	return w.b.options.Catalog.StateKey(ev)
}

// Read implements sequence.Host: it completes an event that was skimmed and will be delivered later.
func (w *worker) Read(ev *events.Event) {
	*ev, _ = w.b.receiver.Decode(w.lane.organization, ev.Data)
}

// Plain implements sequence.Host: it keeps an event for other nodes.
func (w *worker) Plain(ev *events.Event) {
	l := w.lane
	w.b.checkups.add(l)
	if l.sequence.Journaled(w.now) {
		l.recent.Clear(w.now, &w.b.recent) // other nodes read the journal; keeping this event would leave a gap
		return
	}
	l.recent.Add(ev, w.now, &w.b.recent)
}

// Duplicate implements sequence.Host.
func (w *worker) Duplicate(kind sequence.DuplicateKind) {
	w.b.metrics.duplicates.WithLabelValues(kind.String()).Inc()
}

// Overflow implements sequence.Host.
func (w *worker) Overflow() { w.b.metrics.overflow.WithLabelValues(boundHeld).Inc() }

// Repaired implements sequence.Host.
func (w *worker) Repaired(kind sequence.GapKind, delivered int, took time.Duration) {
	w.b.metrics.gaps.WithLabelValues(kind.String()).Inc()
	w.b.metrics.repaired.Add(float64(delivered))
	w.b.metrics.repairs.Observe(took.Seconds())
}

// Lost implements sequence.Host.
func (w *worker) Lost(loss backplane.Loss) {
	loss.Organization, loss.Lane = w.lane.organization, w.lane.name
	w.lane.recent.Clear(w.now, &w.b.recent)
	w.lane.states.Clear(&w.b.states)
	w.b.metrics.losses.WithLabelValues(loss.Reason.String()).Inc()
	w.b.losses.Warn("events lost", func() []zap.Field {
		return []zap.Field{
			zap.String("lane", loss.Lane), zap.Stringer("reason", loss.Reason), zap.Int("events", loss.Events),
			zap.Time("from", loss.From), zap.Time("to", loss.To),
		}
	})
	if w.b.options.Losses != nil {
		w.b.options.Losses.Lost(loss)
	}
}

// joined begins the subscription of the lane.
type joined struct {
	origin  backplane.Position // of a lane that was not subscribed before
	counted bool
	lapse   sequence.Break // of a lane that was
	// promised is since when a lane that was not subscribed before had subscribers; zero: it had none.
	promised time.Time
}

func (n *joined) run(w *worker, l *lane, now time.Time) {
	switch {
	case l.handle != nil:
		l.mayHaveMissed()
	case l.started:
		l.sequence.Broken(now, n.lapse)
	default:
		l.started = true
		l.recent.Clear(now, &w.b.recent)
		l.sequence.Watch = w.b.options.Watch
		l.sequence.Start(now, n.origin, n.counted)
		if !n.promised.IsZero() {
			missed{n.promised}.run(w, l, now)
		}
	}
}

// left ends a lane that was given up.
type left struct{}

func (left) run(w *worker, l *lane, _ time.Time) {
	l.started = false
	l.sequence.Reset()
	l.recent.Clear(time.Time{}, &w.b.recent)
	l.states.Clear(&w.b.states)
	w.b.index.drained(l)
}

// overflowed reports that messages of the lane were dropped here because the node fell behind.
type overflowed struct {
	lapse sequence.Break
}

func (n *overflowed) run(_ *worker, l *lane, now time.Time) {
	l.mayHaveMissed()
	if l.started {
		l.sequence.Broken(now, n.lapse)
	}
}

// tooLong reports a message that was not kept because of its size.
type tooLong struct {
	size int
}

func (n tooLong) run(w *worker, l *lane, _ time.Time) {
	w.b.receiver.Arrived()
	w.b.receiver.Refuse(l.organization, n.size, events.ReasonTooLarge)
}

// offer puts a message into the mailbox of its lane. If the node has fallen too far behind, offer drops the lane's
// messages, including this one; the lane will read them from the journal.
func (b *Backplane) offer(l *lane, en entry) {
	size := int64(en.size())
	queued, ofOrganization := b.queued.Add(size), l.load.queued.Add(size)
	var bound string
	switch total := int64(b.options.TotalQueue); {
	case queued > total:
		bound = boundTotal
	case ofOrganization > total/quotaDivisor:
		bound = boundOrganization
	default:
		ok, schedule := l.mailbox.put(en, b.options.LaneQueue)
		if schedule {
			b.scheduler.add(l)
		}
		if ok {
			return
		}
		bound = boundLane
	}
	b.unqueue(l, size)
	if en.action != nil {
		b.post(l, en.action)
		return
	}
	first, bytes, plain := l.mailbox.shed()
	b.unqueue(l, int64(bytes))
	if len(en.payload) == 0 || en.payload[0] != '#' {
		plain++
	}
	if first == nil {
		first = &en
	}
	b.metrics.overflow.WithLabelValues(bound).Inc()
	b.queued.Add(entryCost)
	l.load.queued.Add(entryCost)
	lapse := sequence.Break{Era: first.era, Reason: backplane.LossOverflow, Plain: plain}
	merged, schedule := l.mailbox.overflow(&overflowed{lapse})
	if merged {
		b.unqueue(l, entryCost)
	}
	if schedule {
		b.scheduler.add(l)
	}
}

// unqueue subtracts bytes that no longer wait for a worker.
func (b *Backplane) unqueue(l *lane, bytes int64) {
	b.queued.Add(-bytes)
	l.load.queued.Add(-bytes)
}

// post puts an action into the mailbox of a lane.
func (b *Backplane) post(l *lane, n action) {
	b.queued.Add(entryCost)
	l.load.queued.Add(entryCost)
	if _, schedule := l.mailbox.put(entry{action: n}, 0); schedule {
		b.scheduler.add(l)
	}
}
