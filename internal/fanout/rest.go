package fanout

import "time"

const (
	// restFactor is the duration of a rest in durations of the round before: rounds then take a third of the time while
	// the shard keeps up. Longer rests delay events for little gain, as each write already carries two to three.
	restFactor = 2
	// minRest is the shortest rest: falling asleep and waking up cost as much as two writes.
	minRest = time.Millisecond
	// keepRested is how long a turn queue without work is kept, for what the shard has learned about its events.
	keepRested = time.Second
)

// round is what a turn queue does between two moments at which it has nothing under way.
type round struct {
	began                      time.Time
	events, writes, deliveries int
	awaited                    bool // a publisher waited for room
}

// endRound ends the round of a queue. The queue rests if the processor is short and its events go to the same
// subscribers, so that collecting more of them saves writes; a round of one event does not show that. The shorter the
// processor, the longer the rest. It does not rest while publishers wait: events then come faster than they are written
// and are collected anyway, and a rest would only reduce throughput.
func (s *Shard) endRound(q *turnQueue) {
	s.measure(q)
	r := q.round
	q.round = round{}
	if r.events > 1 {
		q.batches = 2*r.deliveries >= 3*r.writes
	}
	if !q.batches || r.awaited || s.options.Flow.Rest <= 0 {
		return
	}
	now := time.Now()
	s.utilization.advance(now, true)
	longest := min(restFactor*now.Sub(r.began), s.options.Flow.Rest)
	if rest := time.Duration(s.options.shortage(&s.utilization) * float64(longest)); rest >= minRest {
		q.restsUntil = now.Add(rest)
	}
}

// restingQueues lists the turn queues that rest, and those that rested recently and have had no work since.
type restingQueues struct {
	queues []*turnQueue
	next   time.Time // when wakeRested has to look at the first of them; zero: never
}

// add begins the rest of a queue.
func (r *restingQueues) add(q *turnQueue) {
	q.resting = true
	if !q.listed {
		q.listed = true
		r.queues = append(r.queues, q)
	}
	r.schedule(q)
}

// schedule schedules a queue for the end of its rest, or some time later if it has no work.
func (r *restingQueues) schedule(q *turnQueue) {
	at := q.restsUntil
	if q.first == nil {
		at = at.Add(keepRested)
	}
	r.scheduleAt(at)
}

func (r *restingQueues) scheduleAt(at time.Time) {
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
}

// wakeRested moves queues that have rested and have work into the ring, and retires those that have had none for long.
func (s *Shard) wakeRested(now time.Time) {
	r := &s.resting
	if r.next.IsZero() || now.Before(r.next) {
		return
	}
	r.next = time.Time{}
	kept := r.queues[:0]
	for _, q := range r.queues {
		switch {
		case !q.resting: // queueOf has moved it into the ring
			q.listed = false
		case q.first != nil && !now.Before(q.restsUntil):
			q.resting, q.listed = false, false
			s.ring.push(q)
		case q.first == nil && !now.Before(q.restsUntil.Add(keepRested)):
			q.resting, q.listed = false, false
			s.retire(q)
		default:
			kept = append(kept, q)
			r.schedule(q)
		}
	}
	clear(r.queues[len(kept):])
	r.queues = kept
}
