package sequence

import (
	"bytes"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// heldMessages and heldBytes bound the messages that are held back while the journal is read. When more arrive, the
	// lane drops the held ones: those that are journaled will be read, too.
	heldMessages = 1000
	heldBytes    = 4 << 20

	// skewSpan is how long after a change of the server an id may be lower than the one before it, because the clock of
	// the new server is behind.
	skewSpan = 10 * time.Second
	// overlap is how far before the last known position the journal is read after such a change.
	overlap = 5 * time.Second
	// clockMargin is how far a clock may be set back without an effect.
	clockMargin = time.Second
)

// Lane is the state of the order of a lane. In the zero value nothing is known, and the first message counts as the
// first one.
type Lane struct {
	// Watch is how long a lane must have been subscribed before all its publishers are assumed to write the journal.
	// Default: 1 minute.
	Watch time.Duration

	// last is the position of the last counted event that was delivered, or that was published before the lane was
	// subscribed. counted reports whether last.N is known; a known one may be 0.
	last    backplane.Position
	counted bool
	joined  time.Time          // time of the subscription; zero: not known
	origin  backplane.StreamID // the end of the journal before it; zero: not known, or it was empty
	read    backplane.StreamID // plain entries of the journal up to here were delivered
	era     *Era               // the latest; nil: none yet
	base    time.Time          // origin of the times in ids
	ids     ids
	plain   plainTail
	skew    time.Time // until then an id may go back; see skewSpan

	repair *repair // nil: none is under way
	held   []Message
	bytes  int // of held

	generation uint64 // of repairs
}

// Start begins the order of a lane that is subscribed now. origin is the end of its journal before that; counted is
// false if it is not known.
func (l *Lane) Start(now time.Time, origin backplane.Position, counted bool) {
	l.last, l.counted, l.joined, l.origin = origin, counted, now, origin.ID
}

// Reset forgets everything about the order. Pages of earlier reads will be ignored.
func (l *Lane) Reset() { *l = Lane{Watch: l.Watch, generation: l.generation} }

// Last returns the position of the last counted event that was delivered or will not be.
func (l *Lane) Last() backplane.Position { return l.last }

// Journaled reports whether all publishers of the lane are assumed to write its journal: the lane has been subscribed
// for Watch, and the journal had the events that arrived.
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

// Passed reports whether an event with this position was delivered or will not be. It returns false if that is not
// known.
func (l *Lane) Passed(p backplane.Position) bool {
	if !l.counted || p.N == 0 {
		return false
	}
	if l.last.ID.IsZero() {
		return p.N <= l.last.N // the lane was quiet for so long that its journal has expired
	}
	return p.ID.Compare(l.last.ID) <= 0
}

// When returns the time of an id by this node's clock, or by the server's clock if their difference is not known.
func (l *Lane) When(id backplane.StreamID) time.Time {
	if l.era == nil {
		return time.UnixMilli(int64(id.Milliseconds)) //nolint:gosec // a time
	}
	return l.localTime(id)
}

// Repairing reports whether messages are held back.
func (l *Lane) Repairing() bool { return l.repair != nil }

// Live takes a message that has arrived. It delivers the message unless it is a duplicate or must be held back. It
// does not keep m.
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
		// The journal went back. Its entries after the last known event are new, even if their numbers are not.
		l.begin(now)
		l.repair.forked = true
		l.hold(h, m)
		return
	}
	l.advance(h, now, m)
}

// regress reports whether an event is new although its id is not, because the clock of the server went back. The Id or
// the number of the event shows that it was not delivered before.
func (l *Lane) regress(now time.Time, m *Message) bool {
	if m.Event.ID == (events.ID{}) || l.ids.has(m.Event.ID) {
		return false
	}
	return now.Before(l.skew) || l.counted && m.N > l.last.N
}

// advance makes a counted event the last one and delivers it unless it is a repetition by its publisher.
func (l *Lane) advance(h Host, now time.Time, m *Message) {
	l.last, l.counted = m.Position, true
	l.deliver(h, now, m)
}

// livePlain delivers a plain event.
func (l *Lane) livePlain(h Host, now time.Time, m *Message) {
	if l.deliver(h, now, m) {
		l.plain.add(l.ids.key(&m.Event), m.Event.ID, now)
		h.Plain(&m.Event)
	}
}

// deliver passes an event to the host unless its Id is known. Of an unwanted event it only notes the Id.
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

// hold holds a message back until the end of the repair.
func (l *Lane) hold(h Host, m *Message) {
	if len(l.held) >= heldMessages || l.bytes+m.size() > heldBytes {
		for i := range l.held {
			if l.held[i].N == 0 {
				h.Overflow()
				l.repair.plainLost++
				l.repair.plainDropped = true
			} else {
				l.repair.countedDropped = true
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

// drop drops the held messages.
func (l *Lane) drop() {
	l.held, l.bytes = nil, 0
	l.repair.heldBefore, l.repair.heldStale = 0, 0
}
