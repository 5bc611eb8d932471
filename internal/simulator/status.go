package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// userStatus has the properties of a UserStatus that change.
type userStatus struct {
	free, talking, available, atWork, serving, callingBack, fetching bool
	changed, wrapUpStart, wrapUpEnd                                  time.Duration
	talked, wrappingUp                                               bool
	queue                                                            *queue
	terminals, queues, parked                                        int
}

func (a *agent) status() userStatus {
	st := userStatus{
		free: a.free(), talking: a.talking, available: a.availability == events.AvailabilityAvailable, atWork: a.atWork,
		serving: a.serving(), callingBack: a.out != nil && a.out.callback != nil, fetching: a.fetching,
		changed: a.changed, talked: a.talked, parked: a.parked,
	}
	if st.atWork {
		st.terminals = 1
	}
	if st.serving {
		st.queues = len(a.queues)
	}
	if a.call != nil {
		st.queue = a.call.queue
	}
	if a.wrapUp != nil {
		st.wrappingUp, st.wrapUpStart, st.wrapUpEnd = true, a.wrapUp.start, a.wrapUp.end
	}
	return st
}

func (s *Simulator) publishUserStatus(a *agent, st *userStatus) {
	e := s.begin(events.UserStatus, a.id).text("UserId", a.id).
		flag("CanBeAllocatedTo", st.free).flag("Talking", st.talking)
	s.timeOrNull(e, "TalkingStatusChanged", st.changed, st.talked)
	if st.queue == nil {
		e.null("ActiveQueueId")
	} else {
		e.text("ActiveQueueId", st.queue.id)
	}
	e.flag("Available", st.available).flag("Schedule", st.atWork).flag("Serving", st.serving).
		number("ServiceTerminals", st.terminals).number("ActiveQueues", st.queues).number("ParkedCalls", st.parked)
	s.timeOrNull(e, "WrapUpStart", st.wrapUpStart, st.wrappingUp)
	s.timeOrNull(e, "WrapUpEnd", st.wrapUpEnd, st.wrappingUp)
	s.end(e.flag("ServingCallback", st.callingBack).flag("FetchMode", st.fetching))
}

// timeOrNull writes a time, or null if it is not set.
func (s *Simulator) timeOrNull(e *encoder, name string, at time.Duration, set bool) {
	if !set {
		e.null(name)
		return
	}
	e.text(name, s.stampAt(at))
}

// queueStatus has the properties of a QueueStatus that change.
type queueStatus struct {
	queueCounters
	longest, open int
}

func (q *queue) status(now time.Duration) queueStatus {
	open := events.OpenStatusOpen
	switch {
	case q.outages > 0:
		open = events.OpenStatusNoActiveHandler
	case !q.open:
		open = events.OpenStatusClosed
	}
	return queueStatus{q.counters, wholeSeconds(q.longestWait(now)), open}
}

func (s *Simulator) publishQueueStatus(q *queue, st *queueStatus) {
	serving := st.free + st.shortAway
	if q.outages > 0 {
		serving = 0
	}
	s.end(s.begin(events.QueueStatus, q.id).text("QueueId", q.id).text("QueueName", q.Name).
		number("NbrOfProviders", st.checkedIn).
		number("NbrOfRequesters", st.waiting+st.ringing+st.connected).
		number("NbrOfServingAgentsEstimate", serving).
		number("NbrOfAllocated", st.ringing).number("NbrOfConnected", st.connected).
		number("NbrOfQueuingRequesters", st.waiting).number("NbrOfNotServedRequesters", st.waiting+st.ringing).
		number("NbrOfAgentsLongTermAway", st.longAway).number("NbrOfAgentsShortTermAway", st.shortAway).
		number("NbrOfAgentsImmediatelyFree", st.free).number("NbrOfAgentsCheckedInQueue", st.checkedIn).
		number("NbrOfAgentsOnWrapUp", st.wrapUp).number("NbrOfAgentsOnFetchMode", st.fetching).
		number("MaxWaitTime", st.longest).number("OpenStatus", st.open))
}

// reportStatus publishes the status of marked agents and queues if it changed.
func (s *Simulator) reportStatus() {
	for _, a := range s.changedAgents {
		a.isChanged = false
		if st := a.status(); !a.published || st != a.last {
			a.last, a.published = st, true
			s.publishUserStatus(a, &st)
		}
	}
	s.changedAgents = s.changedAgents[:0]
	for _, q := range s.changedQueues {
		q.isChanged = false
		if st := q.status(s.now); !q.published || st != q.last {
			q.last, q.published = st, true
			s.publishQueueStatus(q, &st)
		}
		s.alert(q)
	}
	s.changedQueues = s.changedQueues[:0]
}
