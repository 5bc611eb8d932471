package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// directCallArrives begins a call to the number of an agent.
func (s *Simulator) directCallArrives() {
	a := pick(s, s.agents)
	if !a.atWork && !s.likely(0.05) {
		return // few people call at night
	}
	c := s.newCall(a.Number)
	c.user = a
	s.end(s.aboutUser(events.UserCallInComing, c, a, "Username"))
	s.end(s.aboutUser(events.UserCallInArrived, c, a, "UserName"))
	switch {
	case !a.atWork:
		s.overflowOfUser(c, events.UserOverflowReasonOffWork, events.OverflowReasonNoAvailableProviders)
	case a.availability != events.AvailabilityAvailable:
		s.overflowOfUser(c, events.UserOverflowReasonDND, events.OverflowReasonNoAvailableProviders)
	case !a.idle() || a.leaving:
		s.overflowOfUser(c, events.UserOverflowReasonBusyOnBusy, events.OverflowReasonNoAvailableProviders)
	default:
		s.ring(c, a, "DirectCall", s.scenario.Answer)
	}
}

// overflowOfUser moves a direct call that its user does not answer: to the user's first queue, or first to the user's
// mobile phone. The call keeps its ids and numbers.
func (s *Simulator) overflowOfUser(c *call, reason, overflowReason string) {
	a := c.user
	q := a.queues[0]
	s.become(c, callArriving)
	mobile := "+358457000" + a.Number[len(a.Number)-3:]
	toMobile := s.likely(0.3)
	target := q.id
	if toMobile {
		target = mobile
	}
	s.end(s.aboutUser(events.UserCallInUserOverflow, c, a, "Username").text("Reason", reason).text("Target", target))
	s.end(s.aboutUser(events.UserCallInOverflow, c, a, "Username").inTechQueue(q).text("ConnectedTarget", target).
		text("TechSource", "User").text("OverflowApplet", softphone).text("TechNumber", a.Number).
		text("TechEvent", reason).text("OverflowReason", overflowReason).
		text("OverflowType", events.OverflowTypeUserTransferAll))
	s.userTransfers(c, a, target, "Overflow")
	if !toMobile {
		s.intoQueue(c, q)
		return
	}
	s.after(s.between(4*time.Second, 10*time.Second), func() {
		if s.likely(0.5) {
			s.userCancels(c, a, "NoAnswer", "The mobile phone did not answer")
			s.userTransfers(c, a, q.id, "Overflow")
			s.intoQueue(c, q)
			return
		}
		s.userTransferred(c, a, mobile)
		s.become(c, callOutside)
		s.after(s.scenario.Talk.Least+s.around(s.scenario.Talk.Mean), func() {
			s.endDirectly(c, events.DisconnectReasonRemote, "NORMAL_CLEARING")
		})
	})
}

// intoQueue moves a direct call into a queue, or ends it.
func (s *Simulator) intoQueue(c *call, q *queue) {
	if !q.reachable() || len(q.line) >= s.scenario.QueueSize {
		s.userCancels(c, c.user, "Closed", "The queue takes no calls")
		s.endDirectly(c, events.DisconnectReasonLocal, "no_active_handler")
		return
	}
	s.userTransferred(c, c.user, q.id)
	s.enterQueue(c, q)
	s.after(s.scenario.Patience.Least+s.around(s.scenario.Patience.Mean), func() { s.losePatience(c) })
}

// endDirectly ends a direct call outside of queues and agents.
func (s *Simulator) endDirectly(c *call, reason, tech string) {
	s.become(c, callOver)
	s.end(s.aboutUser(events.UserCallInDisconnected, c, c.user, "Username").
		text("Reason", reason).null("TechQueueId").text("TechReason", tech))
}
