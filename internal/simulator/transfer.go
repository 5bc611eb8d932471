package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	softphone = "Softphone" // the applet of transfers by agents
	expert    = "+3589000900"
)

// transferBlind makes the agent of a connected call transfer it without consultation: to another queue, or to a number
// outside.
func (s *Simulator) transferBlind(c *call) {
	next := pick(s, s.queues)
	if next == c.queue || !next.reachable() || len(next.line) >= s.scenario.QueueSize || s.likely(0.3) {
		s.agentTransfers(c, expert, "BlindTransfer")
		s.transferOutside(c, "BLIND_TRANSFER")
		return
	}
	s.agentTransfers(c, next.id, "BlindTransfer")
	s.agentTransferred(c, next.id)
	s.leaveAgent(c, callArriving, events.DisconnectReasonLocal, "BLIND_TRANSFER")
	s.enterQueue(c, next)
	s.after(s.scenario.Patience.Least+s.around(s.scenario.Patience.Mean), func() { s.losePatience(c) })
}

// transferAttended makes the agent call an expert, while the caller is on hold, and then transfer the call or talk on.
func (s *Simulator) transferAttended(c *call) {
	a := c.agent
	c.held = true
	consultation := s.newOutgoing(a, expert)
	a.out = consultation
	s.touch(a)
	s.agentTransfers(c, expert, "AttendedTransfer")
	s.after(s.between(2*time.Second, 5*time.Second), func() {
		s.outgoingConnected(consultation)
		s.after(s.between(3*time.Second, 8*time.Second), func() {
			cancelled := s.likely(s.scenario.Cancelled)
			s.outgoingEnds(consultation, events.DisconnectReasonLocal, "NORMAL_CLEARING")
			a.out = nil
			s.touch(a)
			if !cancelled {
				s.transferOutside(c, "ATTENDED_TRANSFER")
				return
			}
			s.agentCancels(c)
			c.held = false
			s.after(s.scenario.Talk.Least+s.around(s.scenario.Talk.Mean/2), func() { s.hangUp(c) })
		})
	})
}

// transferOutside completes a transfer to the expert. The call of a queue goes on for a while.
func (s *Simulator) transferOutside(c *call, tech string) {
	s.agentTransferred(c, expert)
	next := callOver
	if c.queue != nil {
		next = callOutside
		s.after(s.scenario.Talk.Least+s.around(s.scenario.Talk.Mean), func() {
			s.become(c, callOver)
			s.endInQueue(c, events.DisconnectReasonRemote, "NORMAL_CLEARING")
		})
	}
	s.leaveAgent(c, next, events.DisconnectReasonLocal, tech)
}

// agentTransfers publishes that an agent began to transfer a call: for the agent, and for the queue of the call.
func (s *Simulator) agentTransfers(c *call, target, detail string) {
	if c.queue != nil {
		s.transferStarted(c, c.queue, target, softphone)
	}
	s.userTransfers(c, c.agent, target, detail)
}

// agentTransferred publishes that the target of a transfer was connected.
func (s *Simulator) agentTransferred(c *call, target string) {
	if c.queue != nil {
		s.transferConnected(c, c.queue, target, softphone)
	}
	s.userTransferred(c, c.agent, target)
}

// agentCancels publishes that a transfer was cancelled.
func (s *Simulator) agentCancels(c *call) {
	if q := c.queue; q != nil {
		s.end(s.aboutQueue(events.QueueCallInTransferCancelled, c, q).inTechQueue(q).text("TransferApplet", softphone).
			text("TechSource", "User").text("Reason", "Cancelled").
			text("DetailedReason", "The agent went back to the caller"))
	}
	s.userCancels(c, c.agent, "Cancelled", "The agent went back to the caller")
}

// userTransfers publishes the start of a transfer of a user's call.
func (s *Simulator) userTransfers(c *call, a *agent, target, source string) {
	s.end(s.aboutTransfer(events.UserCallInTransferStarted, c, a).text("TransferTarget", target).
		text("TransferSource", source))
}

// userTransferred publishes that the call of a user was connected to its new target.
func (s *Simulator) userTransferred(c *call, a *agent, target string) {
	s.end(s.aboutTransfer(events.UserCallInTransferConnected, c, a).text("ConnectedTarget", target).
		text("TransferSource", a.id))
}

// userCancels publishes that the transfer of a user's call was cancelled.
func (s *Simulator) userCancels(c *call, a *agent, reason, detail string) {
	s.end(s.aboutTransfer(events.UserCallInTransferCancelled, c, a).text("Reason", reason).
		text("DetailedReason", detail))
}

func (s *Simulator) aboutTransfer(t events.Type, c *call, a *agent) *encoder {
	return s.aboutUser(t, c, a, "Username").inTechQueue(techQueue(c, a)).
		text("TransferApplet", softphone).text("TechSource", "User")
}

// techQueue returns the technical queue of a call: its queue, or the first one of its user.
func techQueue(c *call, a *agent) *queue {
	if c.queue != nil {
		return c.queue
	}
	return a.queues[0]
}
