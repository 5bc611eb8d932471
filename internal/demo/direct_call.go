package demo

import "time"

const timeBetweenDirectCalls = 18 * time.Second

// directCallArrives begins a call to the number of an agent and schedules the next one.
func (s *Simulator) directCallArrives() {
	s.after(s.around(timeBetweenDirectCalls), s.directCallArrives)

	a := pick(s, s.agents)
	c := &call{id: s.newID(), leg: s.newID(), caller: s.number(), target: a.Number, agent: a}
	s.emit("UserCallInComing", a.ID, c.withUser("Username", fields{}))
	s.emit("UserCallInArrived", a.ID, c.withUser("UserName", fields{}))
	switch {
	case a.availability == "OffWork":
		s.overflowToQueue(c, "OffWork")
	case a.availability != "Available":
		s.overflowToQueue(c, "DND")
	case a.busy:
		s.overflowToQueue(c, "BusyOnBusy")
	default:
		s.ringDirectly(c)
	}
}

// ringDirectly makes a direct call ring at its agent.
func (s *Simulator) ringDirectly(c *call) {
	a := c.agent
	c.state, a.call = callRinging, c
	s.occupy(a)
	s.emit("UserCallInUserAllocated", a.ID, c.withUser("UserName", fields{
		"UserNumber": a.Number, "DetailedReason": "DirectCall",
	}))
	if s.likely(0.2) {
		s.after(ringingTime, func() {
			s.emit("UserCallInUserCancelled", a.ID, c.withUser("UserName", fields{
				"Reason": "NoAnswer", "DetailedReason": "The user did not answer in time",
			}))
			s.release(a)
			s.overflowToQueue(c, "NoAnswer")
		})
		return
	}
	s.after(s.between(time.Second, 8*time.Second), func() {
		c.state = callConnected
		s.emit("UserCallInUserConnected", a.ID, c.withUser("UserName", fields{
			"UserNumber": a.Number, "AgentLegId": s.newID().String(),
		}))
		s.after(shortestTalk+s.around(talkingTime), func() { s.hangUpDirectly(c) })
	})
}

// hangUpDirectly ends a connected direct call.
func (s *Simulator) hangUpDirectly(c *call) {
	c.state = callOver
	s.emit("UserCallInDisconnected", c.agent.ID, c.withUser("Username", fields{
		"Reason": "remote", "TechQueueId": nil, "TechReason": "NORMAL_CLEARING",
	}))
	s.release(c.agent)
}

// overflowToQueue moves a direct call that its user does not answer to the user's first queue.
func (s *Simulator) overflowToQueue(c *call, reason string) {
	q := c.agent.queues[0]
	s.emit("UserCallInUserOverflow", c.agent.ID, c.withUser("Username", fields{
		"Reason": reason, "Target": q.ID.String(),
	}))
	c.state = callOver
	s.callQueue(q, c.caller)
}
