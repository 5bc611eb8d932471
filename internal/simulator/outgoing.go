package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// outgoing is a call that an agent makes.
type outgoing struct {
	id, leg   string
	agent     *agent
	target    string
	callback  *callback // the request that it answers; nil: none
	connected bool
}

func (s *Simulator) newOutgoing(a *agent, target string) *outgoing {
	return &outgoing{id: s.newID().String(), leg: s.newID().String(), agent: a, target: target}
}

func (s *Simulator) aboutOutgoing(t events.Type, o *outgoing) *encoder {
	return s.begin(t, o.agent.id).text("CallId", o.id).text("LegId", o.leg).text("UserId", o.agent.id).
		text("UserName", o.agent.Login).text("CallerNumber", o.agent.Number).text("TargetNumber", o.target)
}

func (s *Simulator) outgoingConnected(o *outgoing) {
	o.connected = true
	s.end(s.aboutOutgoing(events.UserCallOutConnected, o))
}

func (s *Simulator) outgoingEnds(o *outgoing, reason, tech string) {
	s.end(s.aboutOutgoing(events.UserCallOutDisconnected, o).text("Reason", reason).text("TechReason", tech))
}

// call makes an agent call a number. The argument of done reports whether the call was answered.
func (s *Simulator) call(o *outgoing, done func(answered bool)) {
	a := o.agent
	a.out = o
	s.touch(a)
	if s.likely(0.25) {
		s.after(s.scenario.Ringing, func() {
			s.outgoingEnds(o, events.DisconnectReasonLocal, "NO_ANSWER")
			s.release(a)
			done(false)
		})
		return
	}
	s.after(s.between(2*time.Second, 8*time.Second), func() {
		s.outgoingConnected(o)
		s.after(s.scenario.Talk.Least+s.around(s.scenario.Talk.Mean), func() {
			s.outgoingEnds(o, events.DisconnectReasonRemote, "NORMAL_CLEARING")
			s.release(a)
			done(true)
		})
	})
}

// someoneCalls makes an idle agent call a customer.
func (s *Simulator) someoneCalls() {
	if a := pick(s, s.agents); a.free() {
		s.call(s.newOutgoing(a, s.caller()), func(bool) {})
	}
}
