package fanout

import "time"

const (
	// restShare is how many times the duration of a round a lane rests behind it, if it rests: rounds then take a third
	// of the time while the shard keeps up. With more, events wait longer for little: each write carries two to three
	// already.
	restShare = 2
	// minRest is the shortest rest: falling asleep and waking up cost as much as two writes.
	minRest = time.Millisecond
	// keepRested is how long a lane without work is kept for what was learned about it.
	keepRested = time.Second
)

// round is what happens in a lane between two moments at which nothing of it is under way.
type round struct {
	began                      time.Time
	events, writes, deliveries int
	awaited                    bool // somebody had to wait until there was room for another event
}

// over ends the round of a lane, and begins a rest if events of the same listeners came together in rounds: more of them
// together save writes. A round of one event tells nothing about that. While events come faster than they are written they
// are together already, and a lane that rests would only write less.
func (s *Shard) over(l *lane) {
	r := l.round
	l.round = round{}
	if r.events > 1 {
		l.shared = 2*r.deliveries >= 3*r.writes
	}
	if !l.shared || r.awaited || s.options.Rest <= 0 {
		return
	}
	now := time.Now()
	if rest := min(restShare*now.Sub(r.began), s.options.Rest); rest >= minRest {
		l.rests = now.Add(rest)
	}
}

// resting are the lanes that rest, with and without work, or have rested not long ago and got no work since.
type resting struct {
	lanes []*lane
	next  time.Time // when the first of them has to be looked at
}

// add begins the rest of a lane.
func (r *resting) add(l *lane) {
	l.resting = true
	if !l.listed {
		l.listed = true
		r.lanes = append(r.lanes, l)
	}
	r.look(l)
}

// look sees to it that a lane is looked at when its rest is over or, if it has no work, some time later.
func (r *resting) look(l *lane) {
	at := l.rests
	if l.first == nil {
		at = at.Add(keepRested)
	}
	r.lookAt(at)
}

func (r *resting) lookAt(at time.Time) {
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
}

// awake puts lanes that have rested and have work into the ring, and retires those that have had none for long.
func (s *Shard) awake(now time.Time) {
	r := &s.resting
	if r.next.IsZero() || now.Before(r.next) {
		return
	}
	r.next = time.Time{}
	kept := r.lanes[:0]
	for _, l := range r.lanes {
		switch {
		case !l.resting: // it was put into the ring when an event came
			l.listed = false
		case l.first != nil && !now.Before(l.rests):
			l.resting, l.listed = false, false
			s.ring.push(l)
		case l.first == nil && !now.Before(l.rests.Add(keepRested)):
			l.resting, l.listed = false, false
			s.retire(l)
		default:
			kept = append(kept, l)
			r.look(l)
		}
	}
	clear(r.lanes[len(kept):])
	r.lanes = kept
}
