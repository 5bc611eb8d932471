package backplane

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Snapshots finds the latest state events: those that replace the one before, see events.Definition.State.
type Snapshots interface {
	// Snapshot finds what was last published of topics and has not outlived its MessageTTLSeconds. It calls apply, once
	// or several times in turn, with topics of which that is known and with their events: none, one, or several where a
	// topic is about several things (CallbackChanged: one for each callback). apply must not wait, and must not keep
	// the events or their Data. It is not called any more when Snapshot has returned.
	//
	// Each call of apply happens between two events of a lane: what was dispatched before is in the snapshot, and what
	// is not in it is dispatched later.
	//
	// The topics must be acquired. When Snapshot returns nil, apply was called for each; otherwise the error wraps
	// ErrUnavailable or is that of ctx, and apply was called for those that the node knows by itself.
	Snapshot(ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event)) error
}

// DefaultSnapshotMemory is how many bytes of state events a node keeps.
const DefaultSnapshotMemory = 64 << 20

const (
	// stateCost is what a state counts for beside its data, and topicCost what a topic does.
	stateCost = 160
	topicCost = 140
	// maxStates is how many states of one topic are kept, the oldest ones, which bounds what a subscription brings.
	maxStates = 1000
	// maxStateTTL bounds how long a state is kept, as the publishing function does.
	maxStateTTL = 24 * time.Hour
)

// States are the latest state events of a lane. They belong to who brings the lane's events.
type States struct {
	topics   map[events.Topic]*known
	readings []*Reading // those under way; a few
}

// Reading is a look for states where others keep them, which takes a while. It belongs to who brings the lane's events.
type Reading struct {
	topics map[events.Topic]bool // what is looked for; true: it is outdated
}

// Outdated says that an event of a topic came during the reading and is not kept, or that events may be missing: what was
// found of the topic may be what the event replaced.
func (r *Reading) Outdated(t events.Topic) bool { return r.topics[t] }

// Begin is told before a reading that topics are looked for. End must follow.
func (s *States) Begin(r *Reading, topics []events.Topic) {
	r.topics = make(map[events.Topic]bool, len(topics))
	for _, t := range topics {
		r.topics[t] = false
	}
	s.readings = append(s.readings, r)
}

// End is told that a reading is over. It may be one that did not begin.
func (s *States) End(r *Reading) {
	s.readings = slices.DeleteFunc(s.readings, func(other *Reading) bool { return other == r })
}

// outdate tells the readings under way.
func (s *States) outdate(t events.Topic) {
	for _, r := range s.readings {
		if _, ok := r.topics[t]; ok {
			r.topics[t] = true
		}
	}
}

// known is what is known of a topic.
type known struct {
	only    *state               // of a topic that says it all; nil: none
	several map[events.ID]*state // by events.Catalog.StateKey, of the others; nil: none
	// complete says that nothing else was published before that has not expired.
	complete bool
}

// state is the latest event of its kind.
type state struct {
	event   events.Event // its Data is a copy, which the next one overwrites
	expires time.Time
}

func (s *state) size() int64 { return int64(cap(s.event.Data)) + stateCost }

// StatesLimit bounds what all lanes keep together.
type StatesLimit struct {
	// Bytes is the bound. 0 and less: nothing is kept.
	Bytes int64

	used atomic.Int64
	full atomic.Uint64
}

// Used is how many bytes are kept.
func (l *StatesLimit) Used() int64 { return l.used.Load() }

// Full is how many states were not kept because there was no room.
func (l *StatesLimit) Full() uint64 { return l.full.Load() }

// take reserves bytes, or says that there is no room.
func (l *StatesLimit) take(size int64) bool {
	if l.used.Add(size) <= l.Bytes {
		return true
	}
	l.used.Add(-size)
	l.full.Add(1)
	return false
}

func (l *StatesLimit) give(size int64) { l.used.Add(-size) }

// Clear forgets all, as events may be missing.
func (s *States) Clear(limit *StatesLimit) {
	for topic, k := range s.topics {
		s.forget(topic, k, limit)
	}
	s.topics = nil
	for _, r := range s.readings {
		for topic := range r.topics {
			r.topics[topic] = true
		}
	}
}

func (s *States) forget(topic events.Topic, k *known, limit *StatesLimit) {
	if k.only != nil {
		limit.give(k.only.size())
	}
	for _, st := range k.several {
		limit.give(st.size())
	}
	limit.give(topicCost)
	delete(s.topics, topic)
}

// Add takes an event that is delivered now. It is kept if it is a state that expires, and room is left; else what it
// replaces is forgotten.
func (s *States) Add(c *events.Catalog, ev *events.Event, now time.Time, limit *StatesLimit) {
	if limit.Bytes <= 0 && len(s.readings) == 0 {
		return
	}
	key, ok := c.StateKey(ev)
	if ok && !s.Learn(ev, key, now.Add(StateTTL(ev)), now, limit) {
		s.outdate(ev.Topic)
	}
}

// Learn takes an event that was published before. It says whether it is kept.
func (s *States) Learn(ev *events.Event, key events.ID, expires, now time.Time, limit *StatesLimit) bool {
	return limit.Bytes > 0 && s.put(ev, key, expires, now, limit)
}

// StateTTL is how long an event is worth a snapshot: 0 for one that is out of date at once, and for one that never is,
// of which nobody can tell whether it still holds.
func StateTTL(ev *events.Event) time.Duration {
	return min(time.Duration(max(ev.TTLSeconds, 0))*time.Second, maxStateTTL)
}

func (s *States) put(ev *events.Event, key events.ID, expires, now time.Time, limit *StatesLimit) bool {
	k := s.topics[ev.Topic]
	st := k.state(key)
	if st != nil && expires.After(now) && cap(st.event.Data) >= len(ev.Data) {
		st.replace(ev, expires) // mostly so
		return true
	}
	if st != nil {
		k.drop(key, limit)
	}
	if !expires.After(now) {
		return false
	}
	if k == nil {
		if !limit.take(topicCost) {
			return false
		}
		if s.topics == nil {
			s.topics = map[events.Topic]*known{}
		}
		k = &known{complete: key == events.ID{}}
		s.topics[ev.Topic] = k
	}
	if len(k.several) >= maxStates {
		return false
	}
	st = &state{}
	st.replace(ev, expires)
	if !limit.take(st.size()) {
		s.forget(ev.Topic, k, limit) // it is not complete any more, and perhaps there is room next time
		return false
	}
	if (key == events.ID{}) {
		k.only, k.complete = st, true
		return true
	}
	if k.several == nil {
		k.several = map[events.ID]*state{}
	}
	k.several[key] = st
	return true
}

func (s *state) replace(ev *events.Event, expires time.Time) {
	data := append(s.event.Data[:0], ev.Data...)
	s.event, s.expires = *ev, expires
	s.event.Data = data
}

// state is the one with a key; nil: there is none.
func (k *known) state(key events.ID) *state {
	switch {
	case k == nil:
		return nil
	case key == events.ID{}:
		return k.only
	default:
		return k.several[key]
	}
}

// drop forgets the state with a key.
func (k *known) drop(key events.ID, limit *StatesLimit) {
	limit.give(k.state(key).size())
	if (key == events.ID{}) {
		k.only = nil
	} else {
		delete(k.several, key)
	}
}

// Tidy forgets what has expired, and topics of which nothing else is known; it says whether anything is left.
func (s *States) Tidy(now time.Time, limit *StatesLimit) bool {
	for topic, k := range s.topics {
		if k.only != nil && now.After(k.only.expires) {
			k.drop(events.ID{}, limit)
		}
		for key, st := range k.several {
			if now.After(st.expires) {
				k.drop(key, limit)
			}
		}
		if k.only == nil && len(k.several) == 0 {
			s.forget(topic, k, limit)
		}
	}
	return len(s.topics) > 0
}

// Last adds the events of a topic that have not expired to dst.
func (s *States) Last(dst []*events.Event, t events.Topic, now time.Time) []*events.Event {
	k := s.topics[t]
	if k == nil {
		return dst
	}
	if k.only != nil && now.Before(k.only.expires) {
		dst = append(dst, &k.only.event)
	}
	for _, st := range k.several {
		if now.Before(st.expires) {
			dst = append(dst, &st.event)
		}
	}
	return dst
}

// Knows says that the latest event of this topic and key is kept, though it may have expired.
func (s *States) Knows(t events.Topic, key events.ID) bool { return s.topics[t].state(key) != nil }

// Complete says that nothing of a topic is missing.
func (s *States) Complete(t events.Topic) bool {
	k := s.topics[t]
	return k != nil && k.complete
}

// SetComplete says that nothing of a topic is missing from now on. It is forgotten if there is no room.
func (s *States) SetComplete(t events.Topic, limit *StatesLimit) {
	k := s.topics[t]
	if k == nil {
		if limit.Bytes <= 0 || !limit.take(topicCost) {
			return
		}
		if s.topics == nil {
			s.topics = map[events.Topic]*known{}
		}
		k = &known{}
		s.topics[t] = k
	}
	k.complete = true
}

// Any says that something is kept.
func (s *States) Any() bool { return len(s.topics) > 0 }
