package backplane

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Snapshots is a backplane that knows the latest state events (those that replace the one before, see
// events.Definition.State). Memory and Redis do.
type Snapshots interface {
	// Snapshot calls apply for each lane of the topics, with those topics and with what was last published of each
	// that has not outlived its MessageTTLSeconds, oldest first; a topic may have none, or several if its events are
	// about several things (CallbackChanged: one for each callback).
	//
	// apply runs between two events of the lane: what it adds as listener receives all events that follow those, and
	// none of them again. It must not wait, and must not keep the events or their Data.
	//
	// The topics must be acquired. When Snapshot returns nil, apply was called for all of them; otherwise the error
	// wraps ErrUnavailable or is that of ctx, and apply was called for some lanes or for none.
	Snapshot(ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event)) error
}

// States are the latest state events of a lane. They belong to who brings the lane's events.
type States struct {
	topics map[events.Topic]map[events.ID]*state // by topic and events.Catalog.StateKey
	since  time.Time                             // nothing is missing that came later; zero: nothing came yet
}

// state is the latest event of its kind.
type state struct {
	event   events.Event // its Data is a copy, which the next one overwrites
	expires time.Time
}

// stateCost is what a state counts for beside its data.
const stateCost = 200

func (s *state) size() int64 { return int64(cap(s.event.Data)) + stateCost }

// StatesLimit bounds what all lanes keep together.
type StatesLimit struct {
	// Bytes is the bound. 0 and less: nothing is kept.
	Bytes int64
	used  atomic.Int64
}

// Used is how many bytes are kept.
func (l *StatesLimit) Used() int64 { return l.used.Load() }

// Begin makes s one that misses nothing from now on.
func (s *States) Begin(now time.Time) { s.since = now }

// Clear forgets all, as events may be missing.
func (s *States) Clear(now time.Time, limit *StatesLimit) {
	for _, states := range s.topics {
		for _, st := range states {
			limit.used.Add(-st.size())
		}
	}
	*s = States{since: now}
}

// Add takes an event that is delivered now. It is kept if it is a state that expires, and room is left.
func (s *States) Add(c *events.Catalog, ev *events.Event, now time.Time, limit *StatesLimit) {
	if ev.TTLSeconds <= 0 || limit.Bytes <= 0 {
		return
	}
	key, ok := c.StateKey(ev)
	if !ok {
		return
	}
	states := s.topics[ev.Topic]
	st := states[key]
	if st == nil {
		st = &state{}
	} else {
		limit.used.Add(-st.size())
	}
	data := append(st.event.Data[:0], ev.Data...)
	st.event = *ev
	st.event.Data = data
	st.expires = now.Add(time.Duration(ev.TTLSeconds) * time.Second)
	if limit.used.Add(st.size()) > limit.Bytes {
		limit.used.Add(-st.size())
		delete(states, key)
		s.since = now // what is missing from here on was published before
		return
	}
	if states == nil {
		if s.topics == nil {
			s.topics = map[events.Topic]map[events.ID]*state{}
		}
		states = map[events.ID]*state{}
		s.topics[ev.Topic] = states
	}
	states[key] = st
}

// Tidy forgets what has expired; it says whether anything is left.
func (s *States) Tidy(now time.Time, limit *StatesLimit) bool {
	for topic, states := range s.topics {
		for key, st := range states {
			if now.After(st.expires) {
				limit.used.Add(-st.size())
				delete(states, key)
			}
		}
		if len(states) == 0 {
			delete(s.topics, topic)
		}
	}
	return len(s.topics) > 0
}

// Last adds the events of a topic that have not expired to dst.
func (s *States) Last(dst []*events.Event, t events.Topic, now time.Time) []*events.Event {
	for _, st := range s.topics[t] {
		if now.Before(st.expires) {
			dst = append(dst, &st.event)
		}
	}
	return dst
}

// Knows says that the latest event of this topic and key was delivered here, though it may have expired.
func (s *States) Knows(t events.Topic, key events.ID) bool { return s.topics[t][key] != nil }

// Any says that something is kept.
func (s *States) Any() bool { return len(s.topics) > 0 }

// Since is since when nothing is missing.
func (s *States) Since() time.Time { return s.since }
