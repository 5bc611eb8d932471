package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// floor is the current state of the call centre.
type floor struct {
	agents      []*agent // of the queues
	supervisors []*agent
	users       []*agent // all, supervisors first
	queues      []*queue
	lists       []*callList
	// changedAgents and changedQueues have the agents and queues with changes since their last published status.
	// busyQueues has the queues that may have a call for a free agent.
	changedAgents []*agent
	changedQueues []*queue
	busyQueues    []*queue
}

// agent is a user at work.
type agent struct {
	*User
	id           string
	queues       []*queue
	shift        Hours
	availability string
	note         string
	away         time.Duration // time of the last change from or to Available
	absent       bool          // by an incident
	// atWork reports whether the agent's shift lasts, leaving whether the agent goes as soon as it is idle.
	atWork, leaving bool
	fetching        bool // fetches calls manually
	// call rings, is connected or is parked at the agent. out is a call that the agent makes. watched is the call that a
	// supervisor monitors.
	call      *call
	out       *outgoing
	watched   *call
	parked    int
	talking   bool          // as published: a call rings or is connected
	changed   time.Duration // of talking
	talked    bool          // talking has changed before
	wrapUp    *wrapUp
	freeSince time.Duration // start of the idle time; the longest one gets the next call
	counted   presence      // part of the agent in the counters of its queues
	isChanged bool          // is in changedAgents
	last      userStatus    // last published status
	published bool
}

// wrapUp is the time after a call.
type wrapUp struct {
	start, end time.Duration
	queue      *queue
}

// presence is the part of an agent in the counters of its queues.
type presence struct {
	checkedIn, free, wrapUp, longAway, shortAway, fetching int
}

// idle reports whether the agent is without a call.
func (a *agent) idle() bool {
	return a.call == nil && a.out == nil && a.watched == nil && a.wrapUp == nil
}

// serving reports whether the agent is checked in to its queues.
func (a *agent) serving() bool { return a.atWork && len(a.queues) > 0 }

// free reports whether a call can be allocated to the agent.
func (a *agent) free() bool {
	return a.serving() && a.idle() && !a.fetching && !a.leaving && a.availability == events.AvailabilityAvailable
}

// presence returns the part of the agent in the counters of its queues.
func (a *agent) presence() presence {
	if !a.serving() {
		return presence{}
	}
	p := presence{checkedIn: 1}
	if a.fetching {
		p.fetching = 1
	}
	switch {
	case a.free():
		p.free = 1
	case a.wrapUp != nil:
		p.wrapUp, p.shortAway = 1, 1
	case !a.idle() || a.fetching || a.availability == events.AvailabilityBRB ||
		a.availability == events.AvailabilityBusy:
		p.shortAway = 1
	default:
		p.longAway = 1
	}
	return p
}

// queue is a service queue with its calls.
type queue struct {
	*Queue
	id       string
	agents   []*agent
	line     []*call // calls that wait or ring, in the order of service
	overflow *queue
	hours    []Hours
	open     bool // by its hours
	outages  int  // incidents under way
	surge    float64
	counters queueCounters
	figures  Figures
	raised   []*Alert // by alert rule; nil: not raised
	// isChanged and isBusy report whether the queue is in changedQueues and busyQueues.
	isChanged, isBusy bool
	last              queueStatus
	published         bool
}

// queueCounters follow each change of a call and of an agent.
type queueCounters struct {
	presence
	waiting, ringing, connected int
}

// reachable reports whether calls can enter the queue.
func (q *queue) reachable() bool { return q.open && q.outages == 0 }

// longestWait returns the wait of the first call in line that does not ring.
func (q *queue) longestWait(now time.Duration) time.Duration {
	if q.counters.waiting == 0 {
		return 0
	}
	for _, c := range q.line {
		if c.state == callWaiting {
			return now - c.queued
		}
	}
	return 0
}

func newFloor(o *Organization, scenario *Scenario) floor {
	var f floor
	byID := map[events.ID]*queue{}
	for i := range o.Queues {
		q := &queue{Queue: &o.Queues[i], id: o.Queues[i].ID.String(), surge: 1}
		q.hours = scenario.hoursOf(q.Name)
		q.raised = make([]*Alert, len(scenario.Alerts))
		f.queues = append(f.queues, q)
		byID[q.ID] = q
	}
	for _, q := range f.queues {
		q.overflow = byID[q.Overflow]
	}
	for i := range o.Users {
		a := &agent{User: &o.Users[i], id: o.Users[i].ID.String(), availability: events.AvailabilityAvailable}
		for _, id := range a.Queues {
			a.queues = append(a.queues, byID[id])
			byID[id].agents = append(byID[id].agents, a)
		}
		if len(a.queues) > 0 {
			a.shift = scenario.Shifts[len(f.agents)%len(scenario.Shifts)]
			f.agents = append(f.agents, a)
		} else {
			a.shift = Hours{To: TimeOfDay(24 * time.Hour)}
			f.supervisors = append(f.supervisors, a)
		}
	}
	f.users = append(append(f.users, f.supervisors...), f.agents...)
	for i := range o.CallLists {
		l := &callList{CallList: &o.CallLists[i], id: o.CallLists[i].ID.String(), queue: byID[o.CallLists[i].Queue]}
		f.lists = append(f.lists, l)
	}
	return f
}

// touch follows a change of an agent: in the counters of its queues, and with a new status at the end of the moment.
func (s *Simulator) touch(a *agent) {
	talking := a.out != nil || a.watched != nil || a.call != nil && !a.call.parked
	if talking != a.talking {
		a.talking, a.changed, a.talked = talking, s.now, true
	}
	if !a.isChanged {
		a.isChanged = true
		s.changedAgents = append(s.changedAgents, a)
	}
	now, old := a.presence(), a.counted
	if now == old {
		return
	}
	a.counted = now
	for _, q := range a.queues {
		c := &q.counters.presence
		c.checkedIn += now.checkedIn - old.checkedIn
		c.free += now.free - old.free
		c.wrapUp += now.wrapUp - old.wrapUp
		c.longAway += now.longAway - old.longAway
		c.shortAway += now.shortAway - old.shortAway
		c.fetching += now.fetching - old.fetching
		s.touchQueue(q)
		if now.free > old.free {
			s.offer(q)
		}
	}
}

// touchQueue marks the queue for a new status.
func (s *Simulator) touchQueue(q *queue) {
	if !q.isChanged {
		q.isChanged = true
		s.changedQueues = append(s.changedQueues, q)
	}
}

// offer marks a queue that may have a call for a free agent.
func (s *Simulator) offer(q *queue) {
	if !q.isBusy && len(q.line) > 0 {
		q.isBusy = true
		s.busyQueues = append(s.busyQueues, q)
	}
}
