package simulator

import (
	"slices"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// callState is the state of a call.
type callState int

const (
	callArriving callState = iota // on its way to a queue or to a user
	callWaiting
	callRinging
	callConnected
	callOutside // transferred to a number outside
	callOver
)

// call is a call to a queue or to an agent. Its ids and numbers never change.
type call struct {
	id, leg string
	caller  string
	target  string // dialled number
	arrived time.Duration
	queue   *queue        // the queue of the call, or its last one; nil: none
	user    *agent        // the user whose number was dialled; nil: none
	queued  time.Duration // time of arrival in queue
	since   time.Duration // time of the last change of state
	state   callState
	agent   *agent // the agent whose phone rings, or who answered
	// attempt is the number of the current attempt to find an agent, visit the number of the current queue. Appointments
	// of earlier attempts and queues do nothing.
	attempt, visit int
	held, parked   bool
	supervisor     *agent // the supervisor who monitors the call; nil: none
}

func (s *Simulator) newCall(target string) *call {
	return &call{
		id: s.newID().String(), leg: s.newID().String(), caller: s.caller(), target: target, arrived: s.now, since: s.now,
	}
}

// ofCall writes the properties of all events of a call.
func (e *encoder) ofCall(c *call) *encoder {
	return e.text("CallId", c.id).text("LegId", c.leg).text("CallerNumber", c.caller).text("TargetNumber", c.target)
}

// aboutQueue begins an event about a call and a queue.
func (s *Simulator) aboutQueue(t events.Type, c *call, q *queue) *encoder {
	return s.begin(t, q.id).text("QueueId", q.id).text("QueueName", q.Name).ofCall(c)
}

// aboutUser begins an event about a call and a user. Publishers spell the property with the user's name in two ways.
func (s *Simulator) aboutUser(t events.Type, c *call, a *agent, nameProperty string) *encoder {
	return s.begin(t, a.id).text("UserId", a.id).text(nameProperty, a.Login).ofCall(c)
}

// become changes the state of a call, and the counters of its queue.
func (s *Simulator) become(c *call, state callState) {
	if c.queue != nil {
		if counter := c.queue.counters.of(c.state); counter != nil {
			*counter--
		}
		if counter := c.queue.counters.of(state); counter != nil {
			*counter++
		}
		s.touchQueue(c.queue)
	}
	c.state, c.since = state, s.now
}

// of returns the counter of the calls in a state, or nil.
func (c *queueCounters) of(state callState) *int {
	switch state {
	case callWaiting:
		return &c.waiting
	case callRinging:
		return &c.ringing
	case callConnected:
		return &c.connected
	default:
		return nil
	}
}

// callersArrive begins calls to queues. The arrivals of the highest possible rate are thinned by the rate of the moment
// and of the queue.
func (s *Simulator) callersArrive() {
	agents := float64(len(s.agents))
	surge := s.surge
	for _, q := range s.queues {
		surge = max(surge, s.surge*q.surge)
	}
	highest := s.scenario.highest() * agents * surge
	gap := s.gap(highest)
	if gap > surgeTick {
		// A surge may begin in between. An exponential distribution has no memory: the rest is drawn again.
		s.after(surgeTick, s.callersArrive)
		return
	}
	s.after(gap, func() {
		q := pick(s, s.queues)
		if s.likely(s.scenario.rate(s.timeOfDay(s.now)) * agents * s.surge * q.surge / highest) {
			s.callQueue(q)
		}
		s.callersArrive()
	})
}

// surgeTick is the longest delay until the simulator notices a change of the rate.
const surgeTick = time.Second

// callQueue begins a call to a queue.
func (s *Simulator) callQueue(q *queue) {
	c := s.newCall(q.Number)
	c.queue = q
	s.end(s.aboutQueue(events.QueueCallInComing, c, q).text("QueueNumber", q.Number))
	switch {
	case !q.open:
		s.refuse(c, "service_closed")
	case q.outages > 0:
		s.overflowOrRefuse(c, events.OverflowReasonNoAvailableProviders, events.OverflowTypeTerminationHandling)
	case s.likely(0.002):
		s.refuse(c, events.QueueTechReasonIvrMenuFailure)
	case len(q.line) >= s.scenario.QueueSize:
		s.overflowOrRefuse(c, events.OverflowReasonQueueFull, events.OverflowTypeQueueOverflowDefault)
	default:
		s.enterQueue(c, q)
	}
	if c.state == callWaiting {
		s.after(s.scenario.Patience.Least+s.around(s.scenario.Patience.Mean), func() { s.losePatience(c) })
	}
}

// refuse ends a call outside of any line.
func (s *Simulator) refuse(c *call, reason string) {
	s.become(c, callOver)
	c.queue.figures.Refused++
	s.endInQueue(c, events.DisconnectReasonLocal, reason)
}

// endInQueue publishes the end of a call whose last queue is its queue.
func (s *Simulator) endInQueue(c *call, reason, tech string) {
	s.end(s.aboutQueue(events.QueueCallInDisconnected, c, c.queue).
		text("Reason", reason).text("TechQueueId", c.queue.id).text("TechReason", tech))
}

// enterQueue appends a call to a queue.
func (s *Simulator) enterQueue(c *call, q *queue) {
	c.queue, c.queued, c.agent = q, s.now, nil
	c.visit++
	q.figures.Offered++
	q.line = append(q.line, c)
	s.become(c, callWaiting)
	s.end(s.aboutQueue(events.QueueCallInArrived, c, q).text("QueueNumber", q.Number))
	s.offer(q)
	visit := c.visit
	if q.overflow != nil {
		s.after(s.scenario.MaxWait, func() {
			if c.state == callWaiting && c.visit == visit && q.overflow.reachable() {
				s.divert(c, events.OverflowReasonNoAvailableProviders, events.OverflowTypeQueueOverflowDefault)
			}
		})
	}
}

// leaveLine removes a call from the calls that wait.
func (s *Simulator) leaveLine(c *call) {
	q := c.queue
	if i := slices.Index(q.line, c); i >= 0 {
		q.line = slices.Delete(q.line, i, i+1)
		s.touchQueue(q)
	}
}

// divert moves a call that waits to the overflow queue, or ends it.
func (s *Simulator) divert(c *call, reason, kind string) {
	s.leaveLine(c)
	s.become(c, callArriving)
	c.queue.figures.Overflowed++
	s.overflowOrRefuse(c, reason, kind)
}

// overflowOrRefuse moves a call that is in no line to the overflow queue of its queue. It ends the call if there is
// none. The call keeps its ids and numbers.
func (s *Simulator) overflowOrRefuse(c *call, reason, kind string) {
	q, next := c.queue, c.queue.overflow
	if next == nil || !next.reachable() || len(next.line) >= s.scenario.QueueSize {
		s.refuse(c, "no_active_handler")
		return
	}
	const applet = "QueueHandler"
	s.end(s.aboutQueue(events.QueueCallInOverflow, c, q).inTechQueue(q).
		text("OverflowApplet", applet).text("OverflowReason", reason).text("OverflowType", kind).
		text("TechSource", "Queue").text("TechNumber", q.Number).text("TechEvent", "MaxWaitTime"))
	s.transferStarted(c, q, next.id, applet)
	s.transferConnected(c, q, next.id, applet)
	s.enterQueue(c, next)
}

func (e *encoder) inTechQueue(q *queue) *encoder {
	return e.text("TechQueueId", q.id).text("TechQueueName", q.Name)
}

// transferStarted publishes that a transfer of a call out of a queue began.
func (s *Simulator) transferStarted(c *call, q *queue, target, applet string) {
	s.end(s.aboutQueue(events.QueueCallInTransferStarted, c, q).inTechQueue(q).
		text("TransferTarget", target).text("TransferSource", q.id).text("TransferApplet", applet).
		text("TechType", "Queue"))
}

// transferConnected publishes that a call left a queue for another target.
func (s *Simulator) transferConnected(c *call, q *queue, target, applet string) {
	s.end(s.aboutQueue(events.QueueCallInTransferConnected, c, q).inTechQueue(q).
		text("ConnectedTarget", target).text("TransferApplet", applet).text("TechSource", "Queue"))
}

// losePatience ends an unanswered call.
func (s *Simulator) losePatience(c *call) {
	if c.state != callWaiting && c.state != callRinging {
		return
	}
	if c.state == callRinging {
		s.cancel(c, "CallerHangup", "The caller hung up before the agent answered")
	}
	s.leaveLine(c)
	s.become(c, callOver)
	c.queue.figures.Abandoned++
	s.endInQueue(c, events.DisconnectReasonRemote, "ORIGINATOR_CANCEL")
	s.missed(c)
}
