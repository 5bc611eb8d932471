package simulator

import (
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// The states of a supervision. Their values are not published; these are ours.
const (
	supervisionRequested = iota
	supervisionActive
	supervisionEnded
)

// offerMonitoring publishes that a supervisor can monitor a call.
func (s *Simulator) offerMonitoring(c *call, agentLeg string) {
	supervisor := pick(s, s.supervisors)
	kind := events.CallTypeServicecall
	if c.queue == nil {
		kind = events.CallTypeDirectcall
	}
	s.end(s.supervised(events.UserCallAvailableForMonitoring, c, supervisor).text("AgentLegId", agentLeg).
		text("SupervisorTerminalNumber", supervisor.Number).text("SupervisionCallInNumber", "+3589000999").
		text("CallType", kind).text("CallerNumber", c.caller).text("ConnectedToAgentTime", s.stamp))
}

// supervised begins an event about a call that a supervisor can monitor or monitors.
func (s *Simulator) supervised(t events.Type, c *call, supervisor *agent) *encoder {
	e := s.begin(t, supervisor.id).text("TargetUserId", c.agent.id).text("TargetUserName", c.agent.Login).
		text("SupervisorUserId", supervisor.id).text("SupervisorUserName", supervisor.Login).
		text("CallId", c.id).text("LegId", c.leg)
	if c.queue == nil {
		return e.text("QueueName", "").null("QueueId")
	}
	return e.text("QueueName", c.queue.Name).text("QueueId", c.queue.id)
}

// someoneSupervises makes a supervisor monitor a connected call for a while.
func (s *Simulator) someoneSupervises() {
	supervisor, a := pick(s, s.supervisors), pick(s, s.agents)
	c := a.call
	if !supervisor.idle() || c == nil || c.state != callConnected || c.parked || c.supervisor != nil {
		return
	}
	c.supervisor, supervisor.watched = supervisor, c
	s.touch(supervisor)
	leg := s.newID().String()
	s.supervision(c, "", supervisionRequested)
	still := func(do func()) func() {
		return func() {
			if supervisor.watched == c {
				do()
			}
		}
	}
	s.after(s.between(time.Second, 3*time.Second), still(func() { s.supervision(c, leg, supervisionActive) }))
	s.after(s.between(5*time.Second, 20*time.Second), still(func() { s.endSupervision(c) }))
}

// endSupervision ends the supervision of a call, if there is one.
func (s *Simulator) endSupervision(c *call) {
	if c.supervisor == nil {
		return
	}
	s.supervision(c, "", supervisionEnded)
	supervisor := c.supervisor
	c.supervisor, supervisor.watched, supervisor.freeSince = nil, nil, s.now
	s.touch(supervisor)
}

func (s *Simulator) supervision(c *call, leg string, state int) {
	s.end(s.supervised(events.UserSupervisionStatus, c, c.supervisor).text("SupervisorLegId", leg).
		number("State", state))
}

// Alert is an alert whose condition is met.
type Alert struct {
	ID        string `json:"alertId"`
	Queue     string `json:"queueId"`
	Condition string `json:"conditionName"`
	Value     string `json:"value"`
	Since     string `json:"since"`
}

// alert notifies the supervisors when the condition of a rule is met in a queue. The next alert comes only after the
// value was below half of the rule's.
func (s *Simulator) alert(q *queue) {
	for i, rule := range s.scenario.Alerts {
		value := q.counters.waiting
		if rule.When == alertLongestWait {
			value = wholeSeconds(q.longestWait(s.now))
		}
		switch {
		case value >= rule.Least && q.raised[i] == nil:
			alert := &Alert{
				ID: s.newID().String(), Queue: q.id, Condition: q.Name + ": " + rule.Name, Value: strconv.Itoa(value),
				Since: s.stamp,
			}
			q.raised[i] = alert
			for _, supervisor := range s.supervisors {
				s.end(s.begin(events.UserAlert, supervisor.id).text("AlertId", alert.ID).text("UserId", supervisor.id).
					text("ConditionName", alert.Condition).text("ConditionExpression", rule.When+" >= ConditionValue").
					text("ConditionValue", strconv.Itoa(rule.Least)).text("Value", alert.Value))
			}
		case value*2 <= rule.Least:
			q.raised[i] = nil
		}
	}
}
