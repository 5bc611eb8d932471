package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// firstCount is the number of entries in the first read: enough for most lanes, and few enough to read many lanes at
	// once. nextCount is for lanes that turn out to have more.
	firstCount = 50
	nextCount  = 500
	// pageBytes is the target size of a page, estimated from the largest event so far.
	pageBytes = 1 << 20

	// plainSpan is how much of the recent past the journal must account for: all plain events that arrived in it, and
	// the latest one even if it is older, up to plainReach.
	plainSpan  = 5 * time.Second
	plainReach = 5 * time.Minute
	// plainMargin allows for the time between the journal's entry and the arrival of its event.
	plainMargin = 2 * time.Second
)

// repair is the state between the moment when messages may be missing and the delivery of the last of them.
type repair struct {
	generation uint64
	began      time.Time
	broken     bool                 // there was an interruption or an overflow
	reason     backplane.LossReason // of a loss of plain messages
	era        *Era                 // the lane was complete until then; nil: not known

	after   backplane.StreamID // the next read begins behind it
	counted backplane.StreamID // counted entries up to here were delivered
	plain   backplane.StreamID // plain entries up to here were
	exact   bool               // reading began at or before last.ID, so a jump of N proves a loss
	reading bool               // a read is under way
	largest int                // bytes of the largest entry so far

	heldBefore  int    // held messages that arrived before the read
	countBefore uint64 // last.N before the read
	heldStale   int    // held messages that arrived before the latest break

	candidates map[events.ID]bool // plain events that the journal has if their publishers write it; true: found
	failed     bool               // the journal cannot be read

	reach      backplane.StreamID // everything up to here was delivered before the interruption
	reached    bool               // the journal has an entry from up to there, so none behind it was trimmed
	changed    bool               // the server is not the one before, and its clock may be behind
	plainFound bool               // the journal had a plain event that was not delivered before

	lastPage *Page // of the journal, before other nodes are asked; nil: not yet
	answered bool  // another node knew all plain events

	plainDropped   bool   // held plain messages were dropped since the latest read
	countedDropped bool   // held counted messages were dropped since the latest read of the journal
	delivered      int    // events from the journal
	missing        uint64 // events known to be missing
	forked         bool   // the journal went back
	plainLost      int    // plain messages known to be lost
}

// Broken begins a repair because messages may have been missed. Later messages are held back until the journal is read.
func (l *Lane) Broken(now time.Time, b Break) {
	if b.Era != nil && (l.era == nil || b.Era.At.After(l.era.At)) {
		l.era = b.Era
	}
	old := l.repair
	l.begin(now)
	r := l.repair
	r.broken, r.reason, r.plainLost, r.reach, r.changed = true, b.Reason, b.Plain, r.plain, b.Changed
	if b.Changed {
		// The clock of this server may be behind that of the one before: entries that seem old may be new.
		l.skew = now.Add(skewSpan)
		r.after = before(r.plain, overlap)
		known := l.covered(r.after)
		r.counted, r.plain = earlier(r.counted, known), earlier(r.plain, known)
	} else {
		r.after = r.plain // a lane without counted events is not read from its beginning
	}
	r.exact = r.after.Compare(l.last.ID) <= 0
	r.heldStale = len(l.held)
	l.chooseCandidates()
	if old != nil {
		r.resume(old)
	}
}

// begin starts a repair that reads after the last counted event.
func (l *Lane) begin(now time.Time) {
	l.generation++
	l.repair = &repair{
		generation: l.generation,
		began:      now,
		reason:     backplane.LossOutage,
		era:        l.era,
		after:      l.last.ID,
		counted:    l.last.ID,
		exact:      true,
	}
	l.repair.plain = later(l.last.ID, l.read)
	if l.era != nil {
		l.repair.plain = later(l.repair.plain, before(l.era.ServerTime, clockMargin))
	}
}

// resume takes over the rest of a repair that was interrupted itself.
func (r *repair) resume(old *repair) {
	if old.after.Compare(r.after) < 0 {
		r.after, r.exact = old.after, old.exact
	}
	r.counted = earlier(r.counted, later(old.counted, old.after))
	r.plain = earlier(r.plain, later(old.plain, old.after))
	r.reach, r.plainFound = earlier(r.reach, old.reach), old.plainFound
	r.changed = r.changed || old.changed
	r.began = old.began
	r.era = old.era
	r.delivered = old.delivered
	r.missing = old.missing
	r.forked = old.forked
	r.plainLost += old.plainLost
}

// covered returns id or, if later, the id from which on the Ids of all events are known: those since the subscription
// that were not forgotten. An earlier entry cannot be distinguished from one that was delivered.
func (l *Lane) covered(id backplane.StreamID) backplane.StreamID {
	id = later(id, l.origin)
	forgotten, ok := l.ids.since()
	if !ok || l.era == nil {
		return id
	}
	return later(id, before(l.era.ServerTime, l.era.At.Sub(l.base.Add(forgotten))))
}

// chooseCandidates chooses the plain events that arrived last, and begins the reading early enough to find them.
func (l *Lane) chooseCandidates() {
	r, latest := l.repair, l.plain.latest()
	if !l.plain.seen || l.era == nil || l.era.At.Sub(latest) > plainReach {
		return
	}
	r.candidates = map[events.ID]bool{}
	from, oldest := l.era.At.Add(-plainSpan), latest
	for _, p := range l.plain.tail {
		if p.at.Before(from) && p.at.Before(latest) {
			continue
		}
		r.candidates[p.key] = false
		if p.at.Before(oldest) {
			oldest = p.at
		}
	}
	r.after = earlier(r.after, before(l.era.ServerTime, l.era.At.Sub(oldest)+plainMargin))
}

// Want returns the read that the lane needs now. It returns false if it needs none or one is under way.
func (l *Lane) Want() (Read, bool) {
	r := l.repair
	if r == nil || r.reading {
		return Read{}, false
	}
	r.reading, r.plainDropped = true, false
	if r.lastPage != nil {
		read := Read{Peers: true, Known: l.plain.latestID(), Generation: r.generation}
		if r.era != nil {
			read.Since = r.era.ServerTime
		}
		return read, true
	}
	r.answered, r.countedDropped = false, false
	r.heldBefore = len(l.held)
	r.countBefore = l.last.N
	count := firstCount
	if r.largest > 0 {
		count = max(1, min(nextCount, pageBytes/r.largest))
	}
	return Read{After: r.after, Count: count, Generation: r.generation}, true
}

// Page takes the entries of a read. After the last page it delivers the held messages.
func (l *Lane) Page(h Host, now time.Time, p *Page) {
	r := l.repair
	if r == nil || r.generation != p.Generation || !r.reading || r.lastPage != nil {
		return // of an earlier repair
	}
	r.reading = false
	r.failed = p.Failed
	before := l.last
	known := l.lastKnown(p.Entries)
	for i := range p.Entries {
		m := &p.Entries[i]
		r.largest = max(r.largest, len(m.Event.Data))
		if m.N > 0 && !r.exact && l.counted && m.N > l.last.N+1 {
			l.readFromLast(r)
			return
		}
		r.after = m.ID
		l.entry(h, now, p.Entries[i:max(i, known)+1])
	}
	if p.More && !p.Failed {
		return
	}
	if !p.Failed && !r.exact && l.counted && p.Counter > l.reachedByHeld() {
		l.readFromLast(r)
		return
	}
	if !p.Failed && l.counted && p.Counter < r.countBefore {
		r.forked = true // the counter was lost with the end of the journal
		if l.last == before {
			l.last.N = p.Counter
		}
	}
	switch lost := l.plainLoss(now, r); {
	case lost && (l.plain.latestID() != events.ID{} || r.era != nil):
		r.lastPage = p
		return
	case !lost && (r.plainDropped || r.countedDropped):
		return // the journal has the messages that were dropped since the read
	}
	l.finish(h, now, p)
}

// readFromLast reads again from the last counted event: counted events from before the place where reading began are
// missing. The time of the era is ahead of the journal if the clock of this server is behind.
func (l *Lane) readFromLast(r *repair) {
	r.after, r.counted, r.exact = l.last.ID, l.last.ID, true
}

// reachedByHeld returns the number of the last counted event, with the held messages that continue it.
func (l *Lane) reachedByHeld() uint64 {
	n := l.last.N
	for i := range l.held {
		if l.held[i].N == n+1 {
			n++
		}
	}
	return n
}

// Answer takes the peer answer and ends the repair.
func (l *Lane) Answer(h Host, now time.Time, a *Answer) {
	r := l.repair
	if r == nil || r.generation != a.Generation || !r.reading || r.lastPage == nil {
		return // of an earlier repair
	}
	r.reading = false
	held := map[events.ID]bool{}
	for i := r.heldStale; i < len(l.held); i++ {
		held[l.ids.key(&l.held[i].Event)] = true
	}
	messages := make([]Message, len(a.Events))
	for i := range a.Events {
		messages[i].Event = a.Events[i]
	}
	for i := range messages {
		m := &messages[i]
		key := l.ids.key(&m.Event)
		if held[key] {
			break // this event and all later ones are held
		}
		if !l.ids.has(key) && !l.replaced(h, messages[i:]) {
			r.delivered++
			l.livePlain(h, now, m)
		}
	}
	r.answered = a.Complete && !r.plainDropped
	l.finish(h, now, r.lastPage)
}

// lastKnown returns the index of the last entry that was delivered before, -1 if there is none.
func (l *Lane) lastKnown(entries []Message) int {
	for i := len(entries) - 1; i >= 0; i-- {
		if ev := &entries[i].Event; ev.Data != nil && l.ids.has(l.ids.key(ev)) {
			return i
		}
	}
	return -1
}

// entry takes the first of the entries of a journal. The others show whether it is out of date.
func (l *Lane) entry(h Host, now time.Time, entries []Message) {
	m := &entries[0]
	id := l.ids.key(&m.Event)
	event := m.Event.Data != nil
	known := event && l.ids.has(id)
	if _, ok := l.repair.candidates[id]; ok && event {
		l.repair.candidates[id], l.repair.reached = true, true
	}
	l.repair.note(m, known)
	if m.N == 0 {
		l.read = later(l.read, m.ID)
		known = known || m.ID.Compare(l.repair.plain) <= 0
	} else {
		after := m.ID.Compare(l.last.ID) > 0
		if !l.follows(m, known) {
			return
		}
		known = known && !(after && m.Event.ID == (events.ID{})) // its number identifies it better than its text
	}
	if event && !known {
		l.ids.add(id, l.at(now))
		if m.N == 0 && l.preceded(entries) {
			return
		}
		l.repair.plainFound = l.repair.plainFound || m.N == 0
		if m.N == 0 && l.replaced(h, entries) {
			return
		}
		l.repair.delivered++
		h.Deliver(&m.Event)
	}
}

// preceded reports whether the first of the entries was published before the lane was subscribed: behind origin, which
// is read before. Only after a change of the server is an entry as old read again. Its time alone does not show it, by
// the clock of another server. But the entries behind it were delivered, and they are not newer than the last era.
func (l *Lane) preceded(entries []Message) bool {
	if !l.repair.changed || len(entries) == 1 || l.era == nil || l.joined.IsZero() {
		return false
	}
	late := l.era.At.Sub(l.era.Requested) // localTime may be as much behind the publisher
	return !l.localTime(entries[0].ID).Add(-late).After(l.joined)
}

// follows reports whether a counted entry is new, and makes a new one the last one. known reports whether its event was
// delivered before.
func (l *Lane) follows(m *Message, known bool) bool {
	switch {
	case m.ID.Compare(l.repair.counted) <= 0:
		return false
	case m.ID.Compare(l.last.ID) > 0:
		l.place(l.repair, m)
		l.last.ID = m.ID
	case known || m.Event.Data == nil:
		return false
	default: // an old id, but a new event: another history, by a clock that is behind
		l.repair.forked = true
		l.last.N, l.counted = m.N, true
	}
	return true
}

// place compares the number of a counted message behind last with last.N, and makes it the new last.N.
func (l *Lane) place(r *repair, m *Message) {
	if l.counted {
		switch {
		case m.N > l.last.N+1:
			r.missing += m.N - l.last.N - 1
		case m.N <= l.last.N:
			r.forked = true
		}
	}
	l.last.N, l.counted = m.N, true
}

// finish delivers the held messages behind the last page. It ends the repair, or continues reading if there is another
// gap.
func (l *Lane) finish(h Host, now time.Time, p *Page) {
	r, held := l.repair, l.held
	l.repair, l.held, l.bytes = nil, nil, 0
	for i := range held {
		m := &held[i]
		if m.N == 0 {
			if !l.ids.has(l.ids.key(&m.Event)) && !l.replaced(h, held[i:]) { // if not, the journal had it, or a later one
				l.livePlain(h, now, m)
			}
			continue
		}
		if m.ID.Compare(l.last.ID) <= 0 && !l.regress(now, m) {
			continue // the journal had it
		}
		if i < r.heldBefore && m.N > p.Counter && !p.Failed {
			r.forked = true // it was counted before the journal went back, and has left it since
			l.deliver(h, now, m)
			continue
		}
		if l.counted && m.N != l.last.N+1 && i >= r.heldBefore && !p.Failed {
			// It arrived after the read, so the journal may have more by now.
			l.repair, l.held = r, held[i:]
			r.heldStale = max(0, r.heldStale-i)
			for j := range l.held {
				l.bytes += l.held[j].size()
			}
			r.after, r.counted, r.exact, r.lastPage = l.last.ID, l.last.ID, true, nil
			return
		}
		l.place(r, m)
		l.advance(h, now, m)
	}
	if l.counted && !p.Failed && p.Counter > l.last.N {
		r.missing += p.Counter - l.last.N
		l.last.N = p.Counter
	}
	l.report(h, now, r)
	if r.countedDropped {
		l.begin(now) // the journal has the dropped messages, and there may be no later one that shows the gap
	}
}

// report reports the outcome of the repair.
func (l *Lane) report(h Host, now time.Time, r *repair) {
	loss := backplane.Loss{To: now}
	if r.era != nil {
		loss.From = r.era.Requested
	}
	kind := GapRepaired
	if !r.answered && l.plainLoss(now, r) {
		kind = GapPlain
		loss.Reason, loss.Events = r.reason, r.plainLost
		h.Lost(loss)
	}
	if r.forked {
		kind = GapFork
		loss.Reason, loss.Events = backplane.LossFork, 0
		h.Lost(loss)
	}
	if r.missing > 0 {
		kind = GapLost
		loss.Reason, loss.Events = backplane.LossTrimmed, int(min(r.missing, 1<<31))
		h.Lost(loss)
	}
	if kind != GapRepaired || r.delivered > 0 {
		h.Repaired(kind, r.delivered, now.Sub(r.began))
	}
}

// plainLoss reports whether plain events may be missing: there was an interruption, and the lane may have publishers
// that do not write the journal. Such publishers may exist even if no plain event has arrived so far. Without an
// interruption, all plain events arrive.
func (l *Lane) plainLoss(now time.Time, r *repair) bool {
	p := &l.plain
	if !r.broken && r.plainLost == 0 {
		return false
	}
	if !p.seen && r.plainLost > 0 {
		return true
	}
	if r.failed {
		p.missed = now
	}
	p.verify(now, r.candidates, func(e *plain) bool {
		_, candidate := r.candidates[e.key]
		return candidate
	})
	return !l.Journaled(now) || r.trimmed()
}

// note notes that the journal goes back to before the interruption if an entry is from then. The id of a new event may
// be as low if the clock of another server is behind. known reports whether the event was delivered before.
func (r *repair) note(m *Message, known bool) {
	r.reached = r.reached || m.ID.Compare(r.reach) <= 0 && (known || !r.changed)
}

// trimmed reports whether the journal may have lost plain events of the interruption: it should have an entry from
// before, or has such events, and does not go back to before the interruption. Only the numbers of counted events show
// what is missing in such a journal.
func (r *repair) trimmed() bool { return !r.reached && (r.plainFound || len(r.candidates) > 0) }

// before returns the stream id a duration before another.
func before(id backplane.StreamID, d time.Duration) backplane.StreamID {
	ms := uint64(max(0, d.Milliseconds()))
	if ms >= id.Milliseconds {
		return backplane.StreamID{}
	}
	return backplane.StreamID{Milliseconds: id.Milliseconds - ms}
}

func later(a, b backplane.StreamID) backplane.StreamID {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

func earlier(a, b backplane.StreamID) backplane.StreamID {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}
