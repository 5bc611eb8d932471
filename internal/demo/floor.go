package demo

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// floor is the current state of the call centre.
type floor struct {
	agents      []*agent
	supervisors []*agent
	queues      []*queue
	lists       []*callList
	// changedAgents and changedQueues have the agents and queues that changed since their last published status.
	changedAgents []*agent
	changedQueues []*queue
}

// agent is a user at work.
type agent struct {
	*User
	queues       []*queue
	availability string
	// serving reports whether the agent is checked in to its queues.
	serving bool
	// busy reports whether any call rings or is connected. call is set for a call through a queue or a direct call,
	// callback for a callback.
	busy        bool
	call        *call
	callback    *callback
	busyChanged time.Time
	wrapUpStart time.Time
	wrapUpEnd   time.Time
	freeSince   time.Duration // start of the idle time, which decides who gets the next call
	changed     bool          // is in changedAgents
	last        fields        // last published status
}

// free reports whether a call can be allocated to the agent.
func (a *agent) free() bool {
	return a.serving && !a.busy && a.availability == "Available" && a.wrapUpEnd.IsZero()
}

// queue is a service queue with its calls.
type queue struct {
	*Queue
	agents   []*agent
	calls    []*call // calls that have not ended, in the order of service
	overflow *queue
	alerted  bool // the supervisors were alerted that it is long
	changed  bool // is in changedQueues
	last     fields
}

// waiting returns the number of calls without an agent.
func (q *queue) waiting() int {
	n := 0
	for _, c := range q.calls {
		if c.state == callWaiting {
			n++
		}
	}
	return n
}

func newFloor(o *Organization) floor {
	var f floor
	byID := map[events.ID]*queue{}
	for i := range o.Queues {
		q := &queue{Queue: &o.Queues[i]}
		f.queues = append(f.queues, q)
		byID[q.ID] = q
	}
	for _, q := range f.queues {
		q.overflow = byID[q.Overflow]
	}
	for i := range o.Users {
		a := &agent{User: &o.Users[i], availability: "Available", serving: len(o.Users[i].Queues) > 0}
		for _, id := range a.Queues {
			a.queues = append(a.queues, byID[id])
			byID[id].agents = append(byID[id].agents, a)
		}
		if a.serving {
			f.agents = append(f.agents, a)
		} else {
			f.supervisors = append(f.supervisors, a)
		}
	}
	for i := range o.CallLists {
		l := &callList{CallList: &o.CallLists[i], queue: byID[o.CallLists[i].Queue]}
		f.lists = append(f.lists, l)
	}
	return f
}

// touch marks the agent, and the queues whose counters include it, for a new status.
func (s *Simulator) touch(a *agent) {
	if !a.changed {
		a.changed = true
		s.changedAgents = append(s.changedAgents, a)
	}
	for _, q := range a.queues {
		s.touchQueue(q)
	}
}

// touchQueue marks the queue for a new status.
func (s *Simulator) touchQueue(q *queue) {
	if !q.changed {
		q.changed = true
		s.changedQueues = append(s.changedQueues, q)
	}
}

// reportStatus publishes the status of marked agents and queues if it changed.
func (s *Simulator) reportStatus() {
	for _, a := range s.changedAgents {
		a.changed = false
		if status := s.userStatus(a); !status.equal(a.last) {
			s.publishUserStatus(a, status)
		}
	}
	s.changedAgents = s.changedAgents[:0]
	for _, q := range s.changedQueues {
		q.changed = false
		if status := s.queueStatus(q); !status.equal(q.last) {
			s.publishQueueStatus(q, status)
		}
	}
	s.changedQueues = s.changedQueues[:0]
}
