package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// allocate allocates waiting calls to free agents: the call with the longest waiting time to the agent with the longest
// idle time.
func (s *Simulator) allocate() {
	for i := 0; i < len(s.busyQueues); i++ {
		q := s.busyQueues[i]
		q.isBusy = false
		for _, c := range q.line {
			if q.counters.free == 0 || q.counters.waiting == 0 || q.outages > 0 {
				break
			}
			if c.state == callWaiting {
				s.ring(c, longestFree(q.agents), "LongestIdle", s.scenario.Answer)
			}
		}
	}
	s.busyQueues = s.busyQueues[:0]
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

// fetch makes an agent in the fetch mode take the first waiting call.
func (s *Simulator) fetch(a *agent) {
	if !a.idle() || a.leaving || a.availability != events.AvailabilityAvailable {
		return
	}
	for _, q := range a.queues {
		for _, c := range q.line {
			if c.state == callWaiting && q.outages == 0 {
				s.ring(c, a, "Fetched", Range{300 * time.Millisecond, time.Second})
				return
			}
		}
	}
}

// ring makes a call ring at an agent.
func (s *Simulator) ring(c *call, a *agent, why string, answer Range) {
	c.agent, a.call = a, c
	c.attempt++
	s.become(c, callRinging)
	s.touch(a)
	s.end(s.aboutUser(events.UserCallInUserAllocated, c, a, "UserName").
		text("UserNumber", a.Number).text("DetailedReason", why))

	attempt := c.attempt
	inTime := func(do func()) func() {
		return func() {
			if c.state == callRinging && c.attempt == attempt {
				do()
			}
		}
	}
	switch luck := s.chance.Float64(); {
	case a.fetching || luck >= s.scenario.Declined+s.scenario.Unanswered:
		s.after(s.between(answer.Least, answer.Most), inTime(func() { s.connect(c) }))
	case luck < s.scenario.Declined:
		s.after(s.between(answer.Least, answer.Most), inTime(func() { s.declined(c) }))
	default:
		s.after(s.scenario.Ringing, inTime(func() { s.notAnswered(c) }))
	}
}

// cancel removes a ringing call from its agent.
func (s *Simulator) cancel(c *call, reason, detail string) {
	a := c.agent
	s.end(s.aboutUser(events.UserCallInUserCancelled, c, a, "UserName").
		text("Reason", reason).text("DetailedReason", detail))
	c.agent = nil
	s.become(c, callWaiting)
	s.release(a)
}

// declined returns a call to its line, or lets a direct call overflow. The agent works on for a moment.
func (s *Simulator) declined(c *call) {
	a := c.agent
	s.cancel(c, "Declined", "The agent declined the call")
	s.takeBreak(a, events.AvailabilityBusy, "Busy for a moment", s.between(5*time.Second, 15*time.Second))
	s.seekAgain(c, events.UserOverflowReasonInterruptOverflow, events.OverflowReasonUserActivelyDeclined)
}

// notAnswered is declined for a call that the agent let ring.
func (s *Simulator) notAnswered(c *call) {
	a := c.agent
	s.cancel(c, "NoAnswer", "The agent did not answer in time")
	s.takeBreak(a, events.AvailabilityBRB, "", s.between(15*time.Second, 40*time.Second))
	s.seekAgain(c, events.UserOverflowReasonNoAnswer, events.OverflowReasonNoAvailableProviders)
}

// seekAgain continues with a call that its agent did not take.
func (s *Simulator) seekAgain(c *call, userReason, reason string) {
	switch {
	case c.queue == nil:
		s.overflowOfUser(c, userReason, reason)
	case c.queue.outages > 0:
		s.divert(c, events.OverflowReasonNoAvailableProviders, events.OverflowTypeTerminationHandling)
	default:
		s.offer(c.queue)
	}
}

// connect connects caller and agent.
func (s *Simulator) connect(c *call) {
	a, q := c.agent, c.queue
	if q != nil {
		s.leaveLine(c)
		q.figures.Answered++
		if s.clock(s.now).Sub(s.clock(c.queued)) <= s.serviceLevel() {
			q.figures.InTime++
		}
	}
	s.become(c, callConnected)
	agentLeg := s.newID().String()
	s.end(s.aboutUser(events.UserCallInUserConnected, c, a, "UserName").
		text("UserNumber", a.Number).text("AgentLegId", agentLeg))
	if q != nil {
		s.end(s.aboutWrapUp(events.UserWrapUpEnabled, c, a).number("MaxWrapUpDurationSec", seconds(s.scenario.WrapUp)))
	}
	if len(s.supervisors) > 0 {
		s.offerMonitoring(c, agentLeg)
	}
	s.touch(a)
	s.talk(c)
}

// serviceLevel returns the time in which a call should be answered, in the time of the events.
func (s *Simulator) serviceLevel() time.Duration {
	return time.Duration(float64(s.scenario.ServiceLevel) / s.options.Speed)
}

// talk schedules the rest of a connected call: perhaps a hold, perhaps a time in which it is parked, and its end.
// Nothing else changes the call in between.
func (s *Simulator) talk(c *call) {
	p := s.scenario
	length := p.Talk.Least + s.around(p.Talk.Mean)
	finish := func() {
		switch luck := s.chance.Float64(); {
		case luck < p.Blind:
			s.transferBlind(c)
		case luck < p.Blind+p.Attended:
			s.transferAttended(c)
		default:
			s.hangUp(c)
		}
	}
	switch {
	case s.likely(p.Park):
		s.after(length/2, func() {
			s.park(c, true)
			s.after(s.between(5*time.Second, 15*time.Second), func() {
				s.park(c, false)
				s.after(length/2, finish)
			})
		})
	case s.likely(p.Hold):
		s.after(length/2, func() {
			c.held = true
			s.after(s.between(4*time.Second, 20*time.Second), func() {
				c.held = false
				s.after(length/2, finish)
			})
		})
	default:
		s.after(length, finish)
	}
}

// park parks a call of an agent, or takes it back.
func (s *Simulator) park(c *call, parked bool) {
	c.parked, c.since = parked, s.now
	c.agent.parked = 0
	if parked {
		c.agent.parked = 1
		s.endSupervision(c)
	}
	s.touch(c.agent)
}

// hangUp ends a connected call.
func (s *Simulator) hangUp(c *call) {
	reason := events.DisconnectReasonRemote
	if s.likely(0.3) {
		reason = events.DisconnectReasonLocal
	}
	s.leaveAgent(c, callOver, reason, "NORMAL_CLEARING")
	if c.queue != nil {
		s.endInQueue(c, reason, "NORMAL_CLEARING")
	}
}

// leaveAgent ends the part of an agent in a connected call.
func (s *Simulator) leaveAgent(c *call, next callState, reason, tech string) {
	s.endSupervision(c)
	a := c.agent
	c.held, c.agent = false, nil
	s.become(c, next)
	e := s.aboutUser(events.UserCallInDisconnected, c, a, "Username").text("Reason", reason).text("TechReason", tech)
	if c.queue == nil {
		s.end(e.null("TechQueueId"))
		s.release(a)
		return
	}
	s.end(e.text("TechQueueId", c.queue.id))
	s.wrapUpAfter(c, a)
}

// release ends the part of an agent in a call without wrap-up.
func (s *Simulator) release(a *agent) {
	a.call, a.out, a.freeSince = nil, nil, s.now
	s.touch(a)
	s.leaveIfIdle(a)
}

// aboutWrapUp begins an event about the wrap-up after a call.
func (s *Simulator) aboutWrapUp(t events.Type, c *call, a *agent) *encoder {
	return s.begin(t, a.id).text("CallId", c.id).text("LegId", c.leg).text("UserId", a.id).text("QueueId", c.queue.id)
}

// wrapUpAfter starts the wrap-up of the agent after a call.
func (s *Simulator) wrapUpAfter(c *call, a *agent) {
	most := s.scenario.WrapUp
	a.call, a.wrapUp = nil, &wrapUp{s.now, s.now + most, c.queue}
	s.touch(a)
	s.end(s.aboutWrapUp(events.UserWrapUpStarted, c, a).number("MaxWrapUpDurationSec", seconds(most)))

	q, elapsed, reason := c.queue, most, events.WrapUpEndReasonTimer
	if s.likely(0.6) {
		elapsed, reason = s.between(2*time.Second, most), events.WrapUpEndReasonManual
	}
	s.after(elapsed, func() {
		a.wrapUp, a.freeSince = nil, s.now
		s.touch(a)
		s.end(s.begin(events.UserWrapUpTerminated, a.id).text("CallId", c.id).text("LegId", c.leg).text("UserId", a.id).
			text("QueueId", q.id).text("Reason", reason).number("ElapsedTimeSec", wholeSeconds(elapsed)))
		s.leaveIfIdle(a)
	})
}
