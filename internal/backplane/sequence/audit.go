package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// auditCount is the number of latest entries that an audit reads.
const auditCount = 500

// auditAge is the age from which an event in the journal must have arrived, and an event that arrived must be in the
// journal.
const auditAge = 2 * time.Second

// Audit returns a read of the latest entries. It checks what numbers cannot show about plain events: whether their
// publishers write the journal, and whether the journal has one that did not arrive. ok is false if there is nothing
// to check now.
func (l *Lane) Audit() (read Read, ok bool) {
	if l.repair != nil || !l.plain.unaudited {
		return Read{}, false
	}
	l.plain.unaudited = false
	return Read{Latest: true, Count: auditCount, Generation: l.generation}, true
}

// Audited takes the entries of an Audit, in the order of the journal.
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
		if m.N != 0 || !l.overdue(m) || l.ids.has(key) {
			continue
		}
		l.ids.add(key, l.at(now))
		if !l.replaced(h, p.Entries[i:]) {
			late++
			h.Deliver(&m.Event)
		}
	}
	if late > 0 {
		h.Repaired(GapRepaired, late, 0)
	}
	l.verify(now, written, p)
}

// replaced reports whether the first of the entries is a state of which a later one has been delivered. Such a state
// is out of date and must not be delivered last.
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

// overdue reports whether an entry without a number should have arrived by now: it was published after the lane was
// subscribed, after the entries known to be delivered, before the time of the era, and not so long ago that its Id may
// have been removed.
func (l *Lane) overdue(m *Message) bool {
	if l.era == nil || m.ID.Compare(before(l.era.ServerTime, auditAge)) > 0 ||
		l.localTime(m.ID).Before(l.joined.Add(auditAge)) {
		return false
	}
	known := l.covered(later(l.read, before(l.era.ServerTime, ringSpan)))
	return m.ID.Compare(known) > 0
}

// localTime returns the time of an id by this node's clock. It needs an era.
func (l *Lane) localTime(id backplane.StreamID) time.Time {
	age := int64(l.era.ServerTime.Milliseconds) - int64(id.Milliseconds) //nolint:gosec // times
	return l.era.At.Add(-time.Duration(age) * time.Millisecond)
}

// verify compares the journal with the latest plain events and records those it lacks.
func (l *Lane) verify(now time.Time, written map[events.ID]bool, p *Page) {
	reach := now.Add(-plainReach) // since then the entries are complete
	if len(p.Entries) >= auditCount {
		if l.era == nil {
			return
		}
		reach = l.localTime(p.Entries[0].ID).Add(auditAge)
	}
	l.plain.verify(now, written, func(e *plain) bool { return e.at.After(reach) && now.Sub(e.at) > auditAge })
}
