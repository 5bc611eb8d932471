package trace

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// recordBytes and asideBytes are the sizes of the records.
	recordBytes, asideBytes = 72, 56
	// recordParts of all parts of the memory are for events, the rest for asides.
	recordParts, parts = 3, 4
	// stripes is the number of rings of each kind. Writers rarely meet in one, and a reader occupies one at a time.
	stripes = 8
)

// Options configure a Log.
type Options struct {
	// Bytes bounds the memory. Three quarters are for events, one for asides.
	Bytes int
	// Entries bounds the number of events that are remembered.
	Entries int
	// Reasons are the names of the reasons for Refused.
	Reasons []string
	// Registerer receives the metrics. nil: none.
	Registerer prometheus.Registerer
}

// Log has the records of a node. Any goroutine may use it. A nil *Log records nothing and has no records.
type Log struct {
	began   time.Time
	reasons map[string]uint8
	names   []string
	events  [stripes]ring[Record]
	asides  [stripes]ring[Aside]
	dropped atomic.Uint64
}

// New returns a Log. It returns nil if the options leave no room for a record in each of its rings.
func New(o Options) *Log {
	records := min(o.Entries, o.Bytes/parts*recordParts/recordBytes) / stripes
	asides := o.Bytes / parts * (parts - recordParts) / asideBytes / stripes
	if records < 1 || asides < 1 {
		return nil
	}
	l := &Log{began: time.Now(), reasons: map[string]uint8{}, names: append([]string{"other"}, o.Reasons...)}
	for i, name := range l.names {
		l.reasons[name] = uint8(i)
	}
	for i := range stripes {
		l.events[i].kept = make([]Record, records)
		l.asides[i].kept = make([]Aside, asides)
	}
	l.register(o.Registerer)
	return l
}

// Event records what happened to an event at a time. count is the number of its subscribers.
func (l *Log) Event(ev *events.Event, now time.Time, outcome Outcome, count int) {
	if l == nil {
		return
	}
	r := Record{
		ID: ev.ID, Topic: Topic(ev.Topic), at: now.UnixMicro(), Tier: ev.Tier, Outcome: outcome,
		Count: uint32(count), //nolint:gosec // a node has fewer subscribers
	}
	if !ev.Timestamp.IsZero() {
		r.made = ev.Timestamp.UnixMicro()
	}
	l.add(&r)
}

// Refused records a message that is no event of the organization of its lane. It looks for the ids in the text, which
// may be malformed.
func (l *Log) Refused(organization events.ID, data []byte, size int, reason string) {
	if l == nil {
		return
	}
	r := Record{
		Topic: Topic{Organization: organization, Entity: idOf(data, "EntityId", "entityId")},
		ID:    idOf(data, "Id", "id"),
		at:    time.Now().UnixMicro(), Outcome: Refused, Reason: l.reasons[reason],
		Count: uint32(size), //nolint:gosec // a message has fewer bytes
	}
	l.add(&r)
}

// add adds a record to a ring that is not in use. The entity selects the first one to try.
func (l *Log) add(r *Record) {
	first := int(r.Topic.Entity[15] ^ r.Topic.Entity[0])
	for i := range stripes {
		if l.events[(first+i)%stripes].add(r) {
			return
		}
	}
	l.dropped.Add(1)
}

// Aside records what happened at a time to an event on its way to the outbox with a number.
func (l *Log) Aside(outbox uint32, event events.ID, now time.Time, what What) {
	if l != nil {
		l.addAside(&Aside{Event: event, at: now.UnixMicro(), Outbox: outbox, Count: 1, What: what})
	}
}

// Replaced records that a newer event took the place of another one: Conflated or Superseded.
func (l *Log) Replaced(outbox uint32, event, by events.ID, now time.Time, what What) {
	if l != nil {
		l.addAside(&Aside{Event: event, By: by, at: now.UnixMicro(), Outbox: outbox, Count: 1, What: what})
	}
}

// Some records what happened to a number of events whose ids are not known any more.
func (l *Log) Some(outbox uint32, count int, now time.Time, what What) {
	if l != nil && count > 0 {
		l.addAside(&Aside{
			at: now.UnixMicro(), Outbox: outbox, What: what, Count: uint32(count), //nolint:gosec // of one write
		})
	}
}

func (l *Log) addAside(a *Aside) {
	for i := range stripes {
		if l.asides[(int(a.Outbox)+i)%stripes].add(a) {
			return
		}
	}
	l.dropped.Add(1)
}

// Reason returns the name of the reason of a record with the outcome Refused.
func (l *Log) Reason(r *Record) string { return l.names[r.Reason] }

// Events returns the newest records that match, up to limit of each ring, in no order. match must neither keep its
// argument nor use the log.
func (l *Log) Events(match func(*Record) bool, limit int) (found []Record) {
	if l == nil {
		return nil
	}
	for i := range l.events {
		taken := 0 // each ring has its share of the newest
		l.events[i].scan(func(r *Record) bool {
			if match(r) {
				found = append(found, *r)
				taken++
			}
			return taken < limit
		})
	}
	return found
}

// Asides returns up to limit asides that match, as Events does.
func (l *Log) Asides(match func(*Aside) bool, limit int) (found []Aside) {
	if l == nil {
		return nil
	}
	for i := range l.asides {
		l.asides[i].scan(func(a *Aside) bool {
			if match(a) {
				found = append(found, *a)
			}
			return len(found) < limit
		})
	}
	return found
}

// Since returns the time since which the log has all events, and all asides. Both are the start of the log while
// nothing was replaced.
func (l *Log) Since() (events, asides time.Time) {
	if l == nil {
		now := time.Now()
		return now, now
	}
	events, asides = l.began, l.began
	for i := range stripes {
		if r, ok := l.events[i].oldest(); ok && r.At().After(events) {
			events = r.At()
		}
		if a, ok := l.asides[i].oldest(); ok && a.At().After(asides) {
			asides = a.At()
		}
	}
	return events, asides
}
