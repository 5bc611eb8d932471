package backplane

import (
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// stateCost and topicCost are the memory of a state beside its data, and of a topic.
	stateCost = 160
	topicCost = 140
	// maxStates bounds the states of one topic, and so what one subscription can bring. The oldest ones are retained.
	maxStates = 1000
	// maxStateTTL bounds how long a state is retained, as it does in the publishing function.
	maxStateTTL = 24 * time.Hour
)

// States retains the last state events of one lane. Only the goroutine that has the lane may use it. All calls need the
// same limit.
type States struct {
	topics map[events.Topic]*topicStates
	part   *MemoryPart // of the lane's organization; nil while topics is empty
	reads  []*Reading  // under way; a few
}

// Reading is a read of states from elsewhere, which takes a while. It belongs to the goroutine that has the lane.
type Reading struct {
	topics map[events.Topic]bool // the topics that are read; true: outdated
}

// Outdated reports whether, during the read, an event of the topic came that is not retained, or events may have been
// lost. A state that was read may then be older than that event.
func (r *Reading) Outdated(t events.Topic) bool { return r.topics[t] }

// Begin begins a read of topics. End must follow.
func (s *States) Begin(r *Reading, topics []events.Topic) {
	r.topics = make(map[events.Topic]bool, len(topics))
	for _, t := range topics {
		r.topics[t] = false
	}
	s.reads = append(s.reads, r)
}

// End ends a read. It may be one that did not begin.
func (s *States) End(r *Reading) {
	s.reads = slices.DeleteFunc(s.reads, func(other *Reading) bool { return other == r })
}

// outdate marks a topic as outdated in all reads.
func (s *States) outdate(t events.Topic) {
	for _, r := range s.reads {
		if _, ok := r.topics[t]; ok {
			r.topics[t] = true
		}
	}
}

// topicStates are the retained states of a topic.
type topicStates struct {
	only    *state               // of a topic with a single state; nil: none
	several map[events.ID]*state // by events.Catalog.StateKey, of other topics; nil: none
	// complete reports that no unexpired state of the topic is missing.
	complete bool
}

// state is the last event of one state.
type state struct {
	event   events.Event // its Data is a copy, which the next event overwrites
	expires time.Time
}

func (s *state) size() int64 { return int64(cap(s.event.Data)) + stateCost }

// Clear removes all states because events may have been lost.
func (s *States) Clear(limit *StatesLimit) {
	for topic, ts := range s.topics {
		s.forget(topic, ts, limit)
	}
	for _, r := range s.reads {
		for topic := range r.topics {
			r.topics[topic] = true
		}
	}
}

// forget removes a topic.
func (s *States) forget(topic events.Topic, ts *topicStates, limit *StatesLimit) {
	if ts.only != nil {
		limit.Give(s.part, ts.only.size())
	}
	for _, st := range ts.several {
		limit.Give(s.part, st.size())
	}
	limit.Give(s.part, topicCost)
	delete(s.topics, topic)
	s.leaveIfEmpty(limit)
}

// add adds a topic without states. It returns nil if there is no room.
func (s *States) add(t events.Topic, limit *StatesLimit) *topicStates {
	if s.topics == nil {
		s.topics, s.part = map[events.Topic]*topicStates{}, limit.Join(t.Organization)
	}
	if !limit.take(s.part, topicCost) {
		s.leaveIfEmpty(limit)
		return nil
	}
	ts := &topicStates{}
	s.topics[t] = ts
	return ts
}

func (s *States) leaveIfEmpty(limit *StatesLimit) {
	if len(s.topics) == 0 {
		limit.Leave(s.part)
		s.topics, s.part = nil, nil
	}
}

// Add takes an event that is dispatched now. It retains the event if it is a state that expires and there is room.
// Otherwise it removes the state that the event replaces.
func (s *States) Add(c *events.Catalog, ev *events.Event, now time.Time, limit *StatesLimit) {
	if limit.Bytes <= 0 && len(s.reads) == 0 {
		return
	}
	key, ok := c.StateKey(ev)
	if ok && !s.Learn(ev, key, now.Add(StateTTL(ev)), now, limit) {
		s.outdate(ev.Topic)
	}
}

// Learn takes an event that was published earlier, and reports whether it retains it.
func (s *States) Learn(ev *events.Event, key events.ID, expires, now time.Time, limit *StatesLimit) bool {
	return limit.Bytes > 0 && s.put(ev, key, expires, now, limit)
}

// StateTTL returns how long a state event is retained. 0: not at all, because the event expires at once or never. For
// an event that never expires, a node cannot know whether it still holds.
func StateTTL(ev *events.Event) time.Duration {
	return min(time.Duration(max(ev.TTLSeconds, 0))*time.Second, maxStateTTL)
}

func (s *States) put(ev *events.Event, key events.ID, expires, now time.Time, limit *StatesLimit) bool {
	ts := s.topics[ev.Topic]
	if ts != nil && limit.Exceeds(s.part) {
		s.evict(ev.Topic, ts, limit)
		return false
	}
	st := ts.state(key)
	if st != nil && expires.After(now) && cap(st.event.Data) >= len(ev.Data) {
		st.replace(ev, expires) // the usual case
		return true
	}
	if st != nil {
		ts.remove(key)
		limit.Give(s.part, st.size())
	}
	if !expires.After(now) {
		return false
	}
	if ts == nil {
		if ts = s.add(ev.Topic, limit); ts == nil {
			return false
		}
		ts.complete = key == events.ID{}
	}
	if len(ts.several) >= maxStates {
		return false
	}
	st = &state{}
	st.replace(ev, expires)
	if !limit.take(s.part, st.size()) {
		s.forget(ev.Topic, ts, limit) // the topic is not complete any more, and next time there may be room
		return false
	}
	if (key == events.ID{}) {
		ts.only, ts.complete = st, true
		return true
	}
	if ts.several == nil {
		ts.several = map[events.ID]*state{}
	}
	ts.several[key] = st
	return true
}

// evict removes a topic because other organizations need the room.
func (s *States) evict(t events.Topic, ts *topicStates, limit *StatesLimit) {
	evicted := len(ts.several)
	if ts.only != nil {
		evicted++
	}
	limit.evicted.Add(uint64(evicted))
	s.forget(t, ts, limit)
}

func (s *state) replace(ev *events.Event, expires time.Time) {
	data := append(s.event.Data[:0], ev.Data...)
	s.event, s.expires = *ev, expires
	s.event.Data = data
}

// state returns the state with a key, nil if there is none.
func (ts *topicStates) state(key events.ID) *state {
	switch {
	case ts == nil:
		return nil
	case key == events.ID{}:
		return ts.only
	default:
		return ts.several[key]
	}
}

// remove removes the state with a key.
func (ts *topicStates) remove(key events.ID) {
	if (key == events.ID{}) {
		ts.only = nil
	} else {
		delete(ts.several, key)
	}
}

// Tidy removes expired states and topics without states, and, if other organizations need the room, more. It reports
// whether anything is left.
func (s *States) Tidy(now time.Time, limit *StatesLimit) bool {
	for topic, ts := range s.topics {
		if ts.only != nil && now.After(ts.only.expires) {
			limit.Give(s.part, ts.only.size())
			ts.only = nil
		}
		for key, st := range ts.several {
			if now.After(st.expires) {
				limit.Give(s.part, st.size())
				delete(ts.several, key)
			}
		}
		switch {
		case ts.only == nil && len(ts.several) == 0:
			s.forget(topic, ts, limit)
		case limit.Exceeds(s.part):
			s.evict(topic, ts, limit)
		}
	}
	return s.Any()
}

// Last appends the unexpired events of a topic to dst.
func (s *States) Last(dst []*events.Event, t events.Topic, now time.Time) []*events.Event {
	ts := s.topics[t]
	if ts == nil {
		return dst
	}
	if ts.only != nil && now.Before(ts.only.expires) {
		dst = append(dst, &ts.only.event)
	}
	for _, st := range ts.several {
		if now.Before(st.expires) {
			dst = append(dst, &st.event)
		}
	}
	return dst
}

// Knows reports whether the last event of a topic and key is retained. The event may have expired.
func (s *States) Knows(t events.Topic, key events.ID) bool { return s.topics[t].state(key) != nil }

// Complete reports whether no state of a topic is missing.
func (s *States) Complete(t events.Topic) bool {
	ts := s.topics[t]
	return ts != nil && ts.complete
}

// SetComplete records that no state of a topic is missing from now on, if there is room for the record.
func (s *States) SetComplete(t events.Topic, limit *StatesLimit) {
	ts := s.topics[t]
	if ts == nil {
		if limit.Bytes <= 0 {
			return
		}
		if ts = s.add(t, limit); ts == nil {
			return
		}
	}
	ts.complete = true
}

// Any reports whether anything is retained.
func (s *States) Any() bool { return len(s.topics) > 0 }
