package sequence

import (
	"bytes"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// heldMessages and heldBytes bound what is held back while the journal is read. When more arrives it is given
	// up: what is journaled will be read, too.
	heldMessages = 1000
	heldBytes    = 4 << 20

	// skewSpan is for how long after a change of the server an id may be lower than the one before it, because its
	// clock is behind that of the other.
	skewSpan = 10 * time.Second
	// overlap is how far behind the last known position the journal is read after such a change.
	overlap = 5 * time.Second
	// settledMargin is how much a clock may have been set back and still be trusted.
	settledMargin = time.Second
)

// Lane is what is known of the order of a lane. The zero value knows nothing: its first message is the first one.
type Lane struct {
	// Watch is how long a lane must have been listened to before its publishers are believed to write the journal.
	// 0: a minute.
	Watch time.Duration

	// last is the position of the last counted event that was delivered, or that was there before the lane was
	// subscribed. counted says that last.N is known, also if it is 0.
	last    backplane.Position
	counted bool
	joined  time.Time          // when it was subscribed; zero: not known
	read    backplane.StreamID // entries of the journal without a number were delivered up to here
	era     *Era               // the latest; nil: none yet
	base    time.Time          // the ring's times count from here
	ids     ids
	plain   plainTail
	skew    time.Time // until then an id may go back

	repair *repair // nil: none is under way
	held   []Message
	bytes  int // of held

	generation uint64 // of repairs
}

// Start is told that the lane is subscribed, and where its journal ended before; counted is false if that is not known.
func (l *Lane) Start(now time.Time, origin backplane.Position, counted bool) {
	l.last, l.counted, l.joined = origin, counted, now
}

// Reset makes the lane one that knows nothing. Pages that were asked for before are not for it.
func (l *Lane) Reset() { *l = Lane{Watch: l.Watch, generation: l.generation} }

// Last is the position of the last counted event that was delivered, or that is not to be delivered.
func (l *Lane) Last() backplane.Position { return l.last }

// Journaled says that all who publish on the lane are believed to write its journal: they were watched for a while,
// and it has what they published.
func (l *Lane) Journaled(now time.Time) bool {
	p := &l.plain
	proof := uint64(p.written) //nolint:gosec // a count
	if !p.seen {
		proof = l.last.N
	}
	watched := l.Watch
	if watched == 0 {
		watched = plainWatch
	}
	return proof >= plainProof && now.Sub(l.joined) >= watched && p.trusted(now)
}

// Passed says that an event with a position was delivered, or will not be: nothing that is delivered from now on is it.
// It is false also if that is not known.
func (l *Lane) Passed(p backplane.Position) bool {
	if !l.counted || p.N == 0 {
		return false
	}
	if l.last.ID.IsZero() {
		return p.N <= l.last.N // the lane was quiet for so long that its journal has gone
	}
	return p.ID.Compare(l.last.ID) <= 0
}

// When is the time of an id by this node's clock; by that of the server if nothing is known about their difference.
func (l *Lane) When(id backplane.StreamID) time.Time {
	if l.era == nil {
		return time.UnixMilli(int64(id.Milliseconds)) //nolint:gosec // a time
	}
	return l.when(id)
}

// Repairing says that messages are held back.
func (l *Lane) Repairing() bool { return l.repair != nil }

// Live takes a message that arrived. Unless it is held back or a duplicate, it is delivered. m is not kept.
func (l *Lane) Live(h Host, now time.Time, m *Message) {
	if m.Era != nil {
		l.era = m.Era
	}
	if l.repair != nil {
		l.hold(h, m)
		return
	}
	if m.N == 0 {
		l.livePlain(h, now, m)
		return
	}
	switch {
	case m.ID.Compare(l.last.ID) <= 0 && !l.regress(now, m):
		h.Duplicate(DuplicateSequence)
		return
	case l.counted && m.N > l.last.N+1:
		l.begin(now)
		l.hold(h, m)
		return
	case l.counted && m.N <= l.last.N:
		// The journal went back. What it has now after the last known event is new, also if it was counted before.
		l.begin(now)
		l.repair.forked = true
		l.hold(h, m)
		return
	}
	l.advance(h, now, m)
}

// regress says that an event is new although its id is not: the clock of the server went back. An event that was
// delivered before would be known by its Id or its number.
func (l *Lane) regress(now time.Time, m *Message) bool {
	if m.Event.ID == (events.ID{}) || l.ids.has(m.Event.ID) {
		return false
	}
	return now.Before(l.skew) || l.counted && m.N > l.last.N
}

// advance delivers a counted event, unless its publisher sent it again, and makes it the last one.
func (l *Lane) advance(h Host, now time.Time, m *Message) {
	l.last, l.counted = m.Position, true
	l.deliver(h, now, m)
}

// livePlain delivers an event that has no position.
func (l *Lane) livePlain(h Host, now time.Time, m *Message) {
	if l.deliver(h, now, m) {
		l.plain.add(l.ids.key(&m.Event), m.Event.ID, now)
		h.Plain(&m.Event)
	}
}

// deliver hands on an event unless its Id was here before; of one that nobody wants the Id is noted.
func (l *Lane) deliver(h Host, now time.Time, m *Message) bool {
	if m.Event.Data == nil {
		return false
	}
	if m.Skimmed {
		l.ids.note(l.ids.key(&m.Event), l.at(now))
		return true
	}
	if !l.ids.add(l.ids.key(&m.Event), l.at(now)) && m.Event.ID != (events.ID{}) {
		h.Duplicate(DuplicateID)
		return false
	}
	h.Deliver(&m.Event)
	return true
}

func (l *Lane) at(now time.Time) time.Duration {
	if l.base.IsZero() {
		l.base = now
	}
	return now.Sub(l.base)
}

// hold keeps a message until the repair has caught up.
func (l *Lane) hold(h Host, m *Message) {
	if len(l.held) >= heldMessages || l.bytes+m.size() > heldBytes {
		for i := range l.held {
			if l.held[i].N == 0 {
				h.Overflow()
				l.repair.plainLost++
				l.repair.spilled = true
			} else {
				l.repair.unread = true
			}
		}
		l.drop()
	}
	l.plain.seen = l.plain.seen || m.N == 0
	kept := *m
	if kept.Shared {
		kept.Event.Data = bytes.Clone(kept.Event.Data)
		kept.Shared = false
	}
	if kept.Skimmed {
		h.Read(&kept.Event)
		kept.Skimmed = false
	}
	l.held = append(l.held, kept)
	l.bytes += kept.size()
}

// drop forgets what is held.
func (l *Lane) drop() {
	l.held, l.bytes = nil, 0
	l.repair.sure, l.repair.stale = 0, 0
}
