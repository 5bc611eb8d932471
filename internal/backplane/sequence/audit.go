package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// auditCount is how many of the latest entries an audit looks at.
const auditCount = 500

// auditAge is how old an event must be to have arrived if it is in the journal, and to be in the journal if it
// arrived.
const auditAge = 2 * time.Second

// Audit is the read of the latest entries that finds out what the numbers do not tell about events without one: whether
// their publishers write the journal, and whether one is there that did not arrive. ok is false if there is nothing to
// find out now.
func (l *Lane) Audit() (read Read, ok bool) {
	if l.repair != nil || !l.plain.news {
		return Read{}, false
	}
	l.plain.news = false
	return Read{Latest: true, Count: auditCount, Generation: l.generation}, true
}

// Audited takes the entries that an Audit asked for, in the order of the journal.
func (l *Lane) Audited(h Host, now time.Time, p *Page) {
	if l.repair != nil || p.Generation != l.generation || p.Failed {
		return
	}
	written := make(map[events.ID]bool, len(p.Entries))
	late := 0
	for i := range p.Entries {
		m := &p.Entries[i]
		if m.Event.Data == nil {
			continue
		}
		key := l.ids.key(&m.Event)
		written[key] = true
		if m.N == 0 && l.overdue(m) && l.ids.add(key, l.at(now)) && !l.replaced(h, p.Entries[i:]) {
			late++
			h.Deliver(&m.Event)
		}
	}
	if late > 0 {
		h.Repaired(GapRepaired, late, 0)
	}
	l.verify(now, written, p)
}

// replaced says that the first of the entries is a state of which a later one was delivered before: what it says does not
// hold any more, and it must not be the last that anybody hears.
func (l *Lane) replaced(h Host, entries []Message) bool {
	ev := &entries[0].Event
	key, ok := h.StateKey(ev)
	if !ok {
		return false
	}
	for i := range entries[1:] {
		next := &entries[1+i].Event
		if next.Data == nil || next.Topic != ev.Topic || !l.ids.has(l.ids.key(next)) {
			continue
		}
		if other, ok := h.StateKey(next); ok && other == key {
			return true
		}
	}
	return false
}

// overdue says that an entry without number should have arrived, if it did not: it was published after the lane was
// subscribed, later than what is known to have been delivered, earlier than what is proven to have arrived, and not so
// long ago that its Id may be forgotten.
func (l *Lane) overdue(m *Message) bool {
	if l.era == nil || m.ID.Compare(back(l.era.Settled, auditAge)) > 0 || l.when(m.ID).Before(l.joined.Add(auditAge)) {
		return false
	}
	known := l.covered(later(l.read, back(l.era.Settled, ringSpan)))
	return m.ID.Compare(known) > 0
}

// when is the time of an id by this node's clock. There is an era.
func (l *Lane) when(id backplane.StreamID) time.Time {
	age := int64(l.era.Settled.Milliseconds) - int64(id.Milliseconds) //nolint:gosec // times
	return l.era.At.Add(-time.Duration(age) * time.Millisecond)
}

// verify compares the latest events without position with what the journal has.
func (l *Lane) verify(now time.Time, written map[events.ID]bool, p *Page) {
	reach := now.Add(-plainReach) // since when the entries are all that there were
	if len(p.Entries) >= auditCount {
		if l.era == nil {
			return
		}
		reach = l.when(p.Entries[0].ID).Add(auditAge)
	}
	l.plain.verify(now, written, func(e *plain) bool { return e.at.After(reach) && now.Sub(e.at) > auditAge })
}
