package demo

import (
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Durations: averages or limits.
const (
	timeBetweenCalls = 4500 * time.Millisecond
	timeToPatience   = 60 * time.Second
	shortestPatience = 8 * time.Second
	timeToOverflow   = 25 * time.Second
	ringingTime      = 12 * time.Second // then the call leaves the agent
	talkingTime      = 30 * time.Second
	shortestTalk     = 5 * time.Second
	wrapUpTime       = 10 * time.Second // maximum
)

// callState is the state of a call.
type callState int

const (
	callWaiting callState = iota
	callRinging
	callConnected
	callOver
)

// call is a call to a queue or to an agent.
type call struct {
	id, leg events.ID
	caller  string
	target  string // dialled number
	queue   *queue
	queued  time.Duration // time of arrival in queue
	state   callState
	agent   *agent // the agent whose phone rings, or who answered
	attempt int    // number of the current attempt to find an agent; appointments of earlier attempts do nothing
}

// common adds the properties of all events of a call.
func (c *call) common(more fields) fields {
	more["CallId"] = c.id.String()
	more["LegId"] = c.leg.String()
	more["CallerNumber"] = c.caller
	more["TargetNumber"] = c.target
	return more
}

// inQueue adds the properties of events about the call and its queue.
func (c *call) inQueue(more fields) fields {
	more["QueueId"] = c.queue.ID.String()
	more["QueueName"] = c.queue.Name
	return c.common(more)
}

// withUser adds the properties of events about the call and its agent. Publishers spell the property with the user's
// name in two ways.
func (c *call) withUser(nameProperty string, more fields) fields {
	more["UserId"] = c.agent.ID.String()
	more[nameProperty] = c.agent.Login
	return c.common(more)
}

// callerArrives begins a call to a queue and schedules the next one.
func (s *Simulator) callerArrives() {
	s.after(s.around(timeBetweenCalls), s.callerArrives)
	s.callQueue(pick(s, s.queues), s.number())
}

// callQueue begins a call to a queue.
func (s *Simulator) callQueue(q *queue, caller string) {
	c := &call{id: s.newID(), leg: s.newID(), caller: caller, target: q.Number, queue: q}
	s.emit("QueueCallInComing", q.ID, c.inQueue(fields{"QueueNumber": q.Number}))
	s.enterQueue(c, q)
	s.after(shortestPatience+s.around(timeToPatience), func() { s.losePatience(c) })
}

// enterQueue appends a call to a queue.
func (s *Simulator) enterQueue(c *call, q *queue) {
	c.queue, c.queued = q, s.now
	q.calls = append(q.calls, c)
	s.emit("QueueCallInArrived", q.ID, c.inQueue(fields{"QueueNumber": q.Number}))
	s.touchQueue(q)
	if q.overflow != nil {
		s.after(timeToOverflow, func() { s.overflow(c, q) })
	}
}

// leaveQueue removes a call from its queue.
func (s *Simulator) leaveQueue(c *call) {
	c.queue.calls = slices.DeleteFunc(c.queue.calls, func(other *call) bool { return other == c })
	s.touchQueue(c.queue)
}

// overflow moves a call that still waits in q to the overflow queue.
func (s *Simulator) overflow(c *call, q *queue) {
	if c.state != callWaiting || c.queue != q {
		return
	}
	here := func(more fields) fields {
		more["TechQueueId"], more["TechQueueName"] = q.ID.String(), q.Name
		return c.inQueue(more)
	}
	next := q.overflow
	s.emit("QueueCallInOverflow", q.ID, here(fields{
		"OverflowApplet": "QueueHandler", "OverflowReason": "NoAvailableProviders",
		"OverflowType": "QueueOverflowDefault", "TechSource": "Queue", "TechNumber": q.Number, "TechEvent": "MaxWaitTime",
	}))
	s.emit("QueueCallInTransferStarted", q.ID, here(fields{
		"TransferTarget": next.ID.String(), "TransferSource": q.ID.String(),
		"TransferApplet": "QueueHandler", "TechType": "Queue",
	}))
	s.leaveQueue(c)
	s.emit("QueueCallInTransferConnected", q.ID, here(fields{
		"ConnectedTarget": next.ID.String(), "TransferApplet": "QueueHandler", "TechSource": "Queue",
	}))
	s.enterQueue(c, next)
}

// losePatience ends a call that no agent answered.
func (s *Simulator) losePatience(c *call) {
	if c.state != callWaiting && c.state != callRinging {
		return
	}
	if c.state == callRinging {
		s.cancel(c, "CallerHangup", "The caller hung up before the agent answered")
	}
	c.state = callOver
	s.leaveQueue(c)
	s.emit("QueueCallInDisconnected", c.queue.ID, c.inQueue(fields{
		"Reason": "remote", "TechQueueId": c.queue.ID.String(), "TechReason": "ORIGINATOR_CANCEL",
	}))
	s.missed(c)
}

// allocate allocates waiting calls to free agents: the call with the longest waiting time to the agent with the longest
// idle time.
func (s *Simulator) allocate() {
	for _, q := range s.queues {
		for _, c := range q.calls {
			if c.state != callWaiting {
				continue
			}
			a := longestFree(q.agents)
			if a == nil {
				break
			}
			s.ring(c, a)
		}
	}
}

// longestFree returns the agent with the longest idle time, nil if all are busy.
func longestFree(agents []*agent) *agent {
	var longest *agent
	for _, a := range agents {
		if a.free() && (longest == nil || a.freeSince < longest.freeSince) {
			longest = a
		}
	}
	return longest
}

// ring makes a call of a queue ring at an agent.
func (s *Simulator) ring(c *call, a *agent) {
	c.state, c.agent = callRinging, a
	c.attempt++
	s.occupy(a)
	a.call = c
	s.touchQueue(c.queue)
	s.emit("UserCallInUserAllocated", a.ID, c.withUser("UserName", fields{
		"UserNumber": a.Number, "DetailedReason": "LongestIdle",
	}))

	attempt := c.attempt
	inTime := func(do func()) func() {
		return func() {
			if c.state == callRinging && c.attempt == attempt {
				do()
			}
		}
	}
	if s.likely(0.93) {
		s.after(s.between(time.Second, 6*time.Second), inTime(func() { s.connect(c) }))
	} else {
		s.after(ringingTime, inTime(func() { s.notAnswered(c) }))
	}
}

// cancel removes a ringing call from its agent.
func (s *Simulator) cancel(c *call, reason, detail string) {
	s.emit(
		"UserCallInUserCancelled", c.agent.ID, c.withUser("UserName", fields{"Reason": reason, "DetailedReason": detail}),
	)
	s.release(c.agent)
	c.agent, c.state = nil, callWaiting
}

// notAnswered returns the call to its queue and makes the agent unavailable for a while.
func (s *Simulator) notAnswered(c *call) {
	a := c.agent
	s.cancel(c, "NoAnswer", "The agent did not answer in time")
	s.touchQueue(c.queue)
	s.setAvailability(a, "BRB", "", s.between(15*time.Second, 40*time.Second))
}

// connect connects caller and agent.
func (s *Simulator) connect(c *call) {
	a := c.agent
	c.state = callConnected
	agentLeg := s.newID().String()
	s.emit("UserCallInUserConnected", a.ID, c.withUser("UserName", fields{
		"UserNumber": a.Number, "AgentLegId": agentLeg,
	}))
	s.emit("UserWrapUpEnabled", a.ID, fields{
		"CallId": c.id.String(), "LegId": c.leg.String(), "UserId": a.ID.String(), "QueueId": c.queue.ID.String(),
		"MaxWrapUpDurationSec": int(wrapUpTime / time.Second),
	})
	if len(s.supervisors) > 0 {
		s.offerMonitoring(c, pick(s, s.supervisors), agentLeg)
	}
	s.touch(a)
	s.touchQueue(c.queue)
	s.after(shortestTalk+s.around(talkingTime), func() { s.hangUp(c) })
}

// offerMonitoring publishes that a supervisor can monitor a call.
func (s *Simulator) offerMonitoring(c *call, supervisor *agent, agentLeg string) {
	s.emit("UserCallAvailableForMonitoring", supervisor.ID, fields{
		"TargetUserId": c.agent.ID.String(), "TargetUserName": c.agent.Login,
		"SupervisorUserId": supervisor.ID.String(), "SupervisorUserName": supervisor.Login,
		"QueueId": c.queue.ID.String(), "QueueName": c.queue.Name,
		"CallId": c.id.String(), "LegId": c.leg.String(), "AgentLegId": agentLeg,
		"SupervisorTerminalNumber": supervisor.Number, "SupervisionCallInNumber": "+3589000999",
		"CallType": "servicecall", "CallerNumber": c.caller, "ConnectedToAgentTime": stamp(s.clock(s.now)),
	})
}

// hangUp ends a connected call of a queue.
func (s *Simulator) hangUp(c *call) {
	reason := "remote"
	if s.likely(0.3) {
		reason = "local"
	}
	a := c.agent
	c.state = callOver
	s.leaveQueue(c)
	s.emit("UserCallInDisconnected", a.ID, c.withUser("Username", fields{
		"Reason": reason, "TechQueueId": c.queue.ID.String(), "TechReason": "NORMAL_CLEARING",
	}))
	s.release(a)
	s.wrapUp(c, a)
}

// wrapUp starts the wrap-up of the agent after a call.
func (s *Simulator) wrapUp(c *call, a *agent) {
	about := func(more fields) fields {
		more["CallId"], more["LegId"] = c.id.String(), c.leg.String()
		more["UserId"], more["QueueId"] = a.ID.String(), c.queue.ID.String()
		return more
	}
	a.wrapUpStart, a.wrapUpEnd = s.clock(s.now), s.clock(s.now+wrapUpTime)
	s.touch(a)
	s.emit("UserWrapUpStarted", a.ID, about(fields{"MaxWrapUpDurationSec": int(wrapUpTime / time.Second)}))

	elapsed, reason := wrapUpTime, "timer"
	if s.likely(0.6) {
		elapsed, reason = s.between(2*time.Second, wrapUpTime), "manual"
	}
	s.after(elapsed, func() {
		a.wrapUpStart, a.wrapUpEnd = time.Time{}, time.Time{}
		a.freeSince = s.now
		s.touch(a)
		s.emit("UserWrapUpTerminated", a.ID, about(fields{
			"Reason": reason, "ElapsedTimeSec": int(elapsed / time.Second),
		}))
	})
}

// occupy begins a call of an agent.
func (s *Simulator) occupy(a *agent) {
	a.busy, a.busyChanged = true, s.clock(s.now)
	s.touch(a)
}

// release ends a call of an agent.
func (s *Simulator) release(a *agent) {
	a.busy, a.busyChanged = false, s.clock(s.now)
	a.call, a.callback = nil, nil
	a.freeSince = s.now
	s.touch(a)
}
