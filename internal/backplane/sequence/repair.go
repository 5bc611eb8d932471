package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

const (
	// firstCount is how many entries the first read asks for: enough for most lanes, and few enough to ask for many
	// lanes at once. nextCount is for the lanes that turn out to have more.
	firstCount = 50
	nextCount  = 500
	// pageBytes is what a page should have at most, going by the largest event of the page before.
	pageBytes = 1 << 20

	// plainSpan is how far back the journal is read to find out whether it has the plain events that arrived: those
	// of this time and, if it is no further back than plainReach, the latest.
	plainSpan  = 5 * time.Second
	plainReach = 5 * time.Minute
	// plainMargin is for the time between the journal's entry and the arrival of its event.
	plainMargin = 2 * time.Second
)

// repair is what goes on between the notice that messages may be missing and the last of them.
type repair struct {
	generation uint64
	began      time.Time
	broken     bool                 // there was a time without a connection, or an overflow
	reason     backplane.LossReason // of a loss of plain messages
	era        *Era                 // the lane was complete until then; nil: not known

	after   backplane.StreamID // what to read next
	counted backplane.StreamID // counted entries up to here were delivered
	plain   backplane.StreamID // other entries up to here were
	exact   bool               // reading began at or before last.ID, so that a jump of N proves a loss
	asked   bool               // a read is under way
	sure    int                // how many held messages were there when it was asked for
	stale   int                // how many held messages came before the latest break
	before  uint64             // last.N at that time
	largest int                // bytes of the largest entry so far

	candidates map[events.ID]bool // plain events that the journal should have if their publishers write it; true: it has
	failed     bool               // the journal cannot be read

	last *Page // the last page; then other nodes were asked; nil: not yet
	told bool  // and one of them knew

	spilled   bool   // plain messages were given up since the latest read
	unread    bool   // counted messages were, since the latest of the journal
	delivered int    // events from the journal
	missing   uint64 // events known to be missing
	forked    bool
	plainLost int // plain messages known to be lost
}

// Broken is told that messages may have been missed. What arrives from now on is held back until the journal was read.
func (l *Lane) Broken(now time.Time, b Break) {
	if b.Era != nil && (l.era == nil || b.Era.At.After(l.era.At)) {
		l.era = b.Era
	}
	old := l.repair
	l.begin(now)
	r := l.repair
	r.broken, r.reason, r.plainLost = true, b.Reason, b.Plain
	if b.Changed {
		// The clock of this server may be behind that of the one before: entries that seem old may be new.
		l.skew = now.Add(skewSpan)
		r.after = back(r.plain, overlap)
		told := l.covered(r.after)
		r.counted, r.plain = earlier(r.counted, told), earlier(r.plain, told)
	} else {
		r.after = r.plain // so that a lane without counted events is not read from its beginning
	}
	r.exact = r.after.Compare(l.last.ID) <= 0
	r.stale = len(l.held)
	l.pick()
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
		l.repair.plain = later(l.repair.plain, back(l.era.Settled, settledMargin))
	}
}

// resume takes over what a repair, which was broken itself, still had to do.
func (r *repair) resume(old *repair) {
	if old.after.Compare(r.after) < 0 {
		r.after, r.exact = old.after, old.exact
	}
	r.counted = earlier(r.counted, later(old.counted, old.after))
	r.plain = earlier(r.plain, later(old.plain, old.after))
	r.began = old.began
	r.era = old.era
	r.delivered = old.delivered
	r.missing = old.missing
	r.forked = old.forked
	r.plainLost += old.plainLost
}

// covered is id or, if later, the id from which on the Ids of all events are remembered: an entry before that cannot
// be told from one that was delivered.
func (l *Lane) covered(id backplane.StreamID) backplane.StreamID {
	forgotten, ok := l.ids.since()
	if !ok || l.era == nil {
		return id
	}
	return later(id, back(l.era.Settled, l.era.At.Sub(l.base.Add(forgotten))))
}

// pick chooses the plain events that came last, and lets the reading begin early enough to meet them.
func (l *Lane) pick() {
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
	r.after = earlier(r.after, back(l.era.Settled, l.era.At.Sub(oldest)+plainMargin))
}

// Want is the read that the lane needs now; false if it needs none, or one is under way.
func (l *Lane) Want() (Read, bool) {
	r := l.repair
	if r == nil || r.asked {
		return Read{}, false
	}
	r.asked, r.spilled = true, false
	if r.last != nil {
		read := Read{Peers: true, Known: l.plain.latestID(), Generation: r.generation}
		if r.era != nil {
			read.Since = r.era.Settled
		}
		return read, true
	}
	r.told, r.unread = false, false
	r.sure = len(l.held)
	r.before = l.last.N
	count := firstCount
	if r.largest > 0 {
		count = max(1, min(nextCount, pageBytes/r.largest))
	}
	return Read{After: r.after, Count: count, Generation: r.generation}, true
}

// Page takes what was read. When it was the last page, what was held back follows.
func (l *Lane) Page(h Host, now time.Time, p *Page) {
	r := l.repair
	if r == nil || r.generation != p.Generation || !r.asked || r.last != nil {
		return // of a repair that began anew since
	}
	r.asked = false
	r.failed = p.Failed
	counted := false
	known := l.lastKnown(p.Entries)
	for i := range p.Entries {
		m := &p.Entries[i]
		r.largest = max(r.largest, len(m.Event.Data))
		if m.N > 0 {
			counted = true
			if !r.exact && l.counted && m.N > l.last.N+1 {
				// Counted events are missing from before the time that seemed to be settled.
				r.after, r.counted, r.exact = l.last.ID, l.last.ID, true
				return
			}
		}
		r.after = m.ID
		l.entry(h, now, p.Entries[i:max(i, known)+1])
	}
	if p.More && !p.Failed {
		return
	}
	if !counted && !p.Failed && l.counted && p.Counter < r.before {
		r.forked = true // the counter was lost with the journal
		l.last.N = p.Counter
	}
	switch lost := l.plainLoss(now, r); {
	case lost && (l.plain.latestID() != events.ID{} || r.era != nil):
		r.last = p
		return
	case !lost && (r.spilled || r.unread):
		return // what was given up since the journal was asked is in it
	}
	l.finish(h, now, p)
}

// Answer takes what another node received, and ends the repair.
func (l *Lane) Answer(h Host, now time.Time, a *Answer) {
	r := l.repair
	if r == nil || r.generation != a.Generation || !r.asked || r.last == nil {
		return // of a repair that began anew since
	}
	r.asked = false
	held := map[events.ID]bool{}
	for i := r.stale; i < len(l.held); i++ {
		held[l.ids.key(&l.held[i].Event)] = true
	}
	for i := range a.Events {
		m := Message{Event: a.Events[i]}
		key := l.ids.key(&m.Event)
		if held[key] {
			break // from here on it is all held, together with what else arrived
		}
		if !l.ids.has(key) {
			r.delivered++
			l.livePlain(h, now, &m)
		}
	}
	r.told = a.Complete && !r.spilled
	l.finish(h, now, r.last)
}

// lastKnown is the index of the last entry that was delivered before; -1: none was.
func (l *Lane) lastKnown(entries []Message) int {
	for i := len(entries) - 1; i >= 0; i-- {
		if ev := &entries[i].Event; ev.Data != nil && l.ids.has(l.ids.key(ev)) {
			return i
		}
	}
	return -1
}

// entry takes an entry of the journal, the first of those given. The others tell whether it is out of date.
func (l *Lane) entry(h Host, now time.Time, entries []Message) {
	m := &entries[0]
	id := l.ids.key(&m.Event)
	event := m.Event.Data != nil
	known := event && l.ids.has(id)
	if _, ok := l.repair.candidates[id]; ok && event {
		l.repair.candidates[id] = true
	}
	if m.N == 0 {
		l.read = later(l.read, m.ID)
		known = known || m.ID.Compare(l.repair.plain) <= 0
	} else {
		after := m.ID.Compare(l.last.ID) > 0
		if !l.follows(m, known) {
			return
		}
		known = known && !(after && m.Event.ID == (events.ID{})) // its number tells more than its text
	}
	if event && !known {
		l.ids.add(id, l.at(now))
		if m.N == 0 && l.replaced(h, entries) {
			return
		}
		l.repair.delivered++
		h.Deliver(&m.Event)
	}
}

// follows says that a counted entry was not passed before, and then makes it the last one. known says that its event
// was delivered before.
func (l *Lane) follows(m *Message, known bool) bool {
	switch {
	case m.ID.Compare(l.repair.counted) <= 0:
		return false
	case m.ID.Compare(l.last.ID) > 0:
		l.place(l.repair, m)
		l.last.ID = m.ID
	case known || m.Event.Data == nil:
		return false
	default: // with an id from before, but never seen: of another history, by a clock that is behind
		l.repair.forked = true
		l.last.N, l.counted = m.N, true
	}
	return true
}

// place compares the number of a counted message that follows last with last.N, and makes it that.
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

// finish lets what was held back follow the last page, and ends the repair, or reads on if there is another gap.
func (l *Lane) finish(h Host, now time.Time, p *Page) {
	r, held := l.repair, l.held
	l.repair, l.held, l.bytes = nil, nil, 0
	for i := range held {
		m := &held[i]
		if m.N == 0 {
			if !l.ids.has(l.ids.key(&m.Event)) { // else it was in the journal
				l.livePlain(h, now, m)
			}
			continue
		}
		if m.ID.Compare(l.last.ID) <= 0 && !l.regress(now, m) {
			continue // read from the journal
		}
		if i < r.sure && m.N > p.Counter && !p.Failed {
			r.forked = true // it was counted before the journal went back, and is not in it any more
			l.deliver(h, now, m)
			continue
		}
		if l.counted && m.N != l.last.N+1 && i >= r.sure && !p.Failed {
			// It arrived after the journal was asked, so the journal may know more by now.
			l.repair, l.held = r, held[i:]
			r.stale = max(0, r.stale-i)
			for j := range l.held {
				l.bytes += l.held[j].size()
			}
			r.after, r.counted, r.exact, r.last = l.last.ID, l.last.ID, true, nil
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
	if r.unread {
		l.begin(now) // what was given up is in the journal, and perhaps nothing comes that would show it
	}
}

// report tells how the repair went.
func (l *Lane) report(h Host, now time.Time, r *repair) {
	loss := backplane.Loss{To: now}
	if r.era != nil {
		loss.From = r.era.Asked
	}
	kind := GapRepaired
	if !r.told && l.plainLoss(now, r) {
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

// plainLoss says that the lane may have publishers that write no journal, and that events of theirs may be missing. That
// none was heard so far does not mean that there are none. A connection that holds brings all of them.
func (l *Lane) plainLoss(now time.Time, r *repair) bool {
	p := &l.plain
	if !r.broken && r.plainLost == 0 {
		return false
	}
	if !p.seen && r.plainLost > 0 {
		return true
	}
	if r.failed {
		p.noticed = now
	}
	p.verify(now, r.candidates, func(e *plain) bool {
		_, candidate := r.candidates[e.key]
		return candidate
	})
	return !l.Journaled(now)
}

// back is a stream id some time before another.
func back(id backplane.StreamID, d time.Duration) backplane.StreamID {
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
