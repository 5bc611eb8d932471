package simulator_test

import (
	"encoding/json"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/simulator"
)

// observed has the properties of events that a follower reads.
type observed struct {
	EventType, EntityID, Timestamp               string
	CallID, QueueID, UserID                      string
	CallerNumber, TargetNumber                   string
	Reason                                       string
	CallBackID, AssignedUserID                   string
	SupervisorUserID                             string
	State                                        int
	Created, IsClosed                            bool
	Talking, CanBeAllocatedTo, Schedule, Serving bool
	FetchMode                                    bool
	ParkedCalls                                  int
	WrapUpStart                                  *string
	Availability                                 string
	Keyword, Value                               string
	NbrOfRequesters, NbrOfAllocated              int
	NbrOfConnected, NbrOfQueuingRequesters       int
	NbrOfAgentsCheckedInQueue                    int
	NbrOfAgentsImmediatelyFree                   int
	NbrOfAgentsShortTermAway                     int
	NbrOfAgentsLongTermAway                      int
	OpenStatus                                   int
}

// follower knows the call centre as the events describe it. It fails the test if an event contradicts earlier events.
type follower struct {
	t         *testing.T
	calls     map[string]*followed
	outgoing  map[string]string // agent by call
	agents    map[string]*worker
	callbacks map[string]bool
	queues    map[string]*line
	seen      map[string]int
	count     int
	latest    string // timestamp
	data      []byte // the event at hand
}

// followed is a call as the events describe it.
type followed struct {
	caller, target   string
	queue            string // the queue of the call, or its last one
	user             string // of a direct call
	inLine           bool
	ringing, talking string // agent
	transferring     bool
	over             bool
}

// worker is an agent as the events describe it.
type worker struct {
	calls    int // ringing, connected or outgoing
	wrapUp   bool
	watching bool
	fetching bool
}

// line is a queue as the events describe it.
type line struct {
	waiting, ringing, talking int
	figures                   simulator.Figures
}

func newFollower(t *testing.T) *follower {
	return &follower{
		t: t, calls: map[string]*followed{}, outgoing: map[string]string{}, agents: map[string]*worker{},
		callbacks: map[string]bool{}, queues: map[string]*line{}, seen: map[string]int{},
	}
}

func (f *follower) bad(what string) {
	f.t.Helper()
	f.t.Fatalf("%s\n%s", what, f.data)
}

func (f *follower) must(ok bool, what string) {
	f.t.Helper()
	if !ok {
		f.bad(what)
	}
}

func (f *follower) agent(id string) *worker {
	if f.agents[id] == nil {
		f.agents[id] = &worker{}
	}
	return f.agents[id]
}

func (f *follower) line(id string) *line {
	if f.queues[id] == nil {
		f.queues[id] = &line{}
	}
	return f.queues[id]
}

// leaves removes a call from its line.
func (f *follower) leaves(c *followed) *line {
	f.must(c.inLine, "the call is in no line")
	c.inLine = false
	q := f.line(c.queue)
	q.waiting--
	return q
}

// follow reads one event.
func (f *follower) follow(catalog *events.Catalog, data []byte) {
	f.t.Helper()
	f.data = data
	event, err := catalog.Decode(data)
	if err != nil {
		f.bad(err.Error())
	}
	// This check takes as long as all other checks together. So it runs for the first events, and then for some.
	if f.count++; f.count < 20_000 || f.count%16 == 0 {
		if deviations := catalog.Check(&event); len(deviations) > 0 {
			f.bad(deviations[0].Property + ": " + deviations[0].Problem.String())
		}
	}
	var e observed
	if err := json.Unmarshal(data, &e); err != nil {
		f.bad(err.Error())
	}
	f.seen[e.EventType]++
	f.must(e.Timestamp >= f.latest, "the event is older than the one before")
	f.latest = e.Timestamp
	if c := f.calls[e.CallID]; c != nil {
		f.must(!c.over || event.Type == events.UserWrapUpStarted || event.Type == events.UserWrapUpTerminated ||
			event.Type == events.CallbackChanged || event.Type == events.QueueCallInDisconnected, "the call is over")
		if e.CallerNumber != "" && (e.CallerNumber != c.caller || e.TargetNumber != "" && e.TargetNumber != c.target) {
			f.bad("the numbers of the call changed")
		}
	}
	switch event.Type {
	case events.UserStatus, events.QueueStatus:
		f.status(&e)
	case events.QueueCallInComing, events.QueueCallInArrived, events.QueueCallInOverflow,
		events.QueueCallInDisconnected, events.QueueCallInTransferStarted, events.QueueCallInTransferConnected,
		events.QueueCallInTransferCancelled:
		f.inQueue(event.Type, &e, f.calls[e.CallID])
	case events.UserCallOutConnected, events.UserCallOutDisconnected, events.CallbackChanged:
		f.outgoingCall(event.Type, &e)
	case events.UserSupervisionStatus:
		watching := &f.agent(e.SupervisorUserID).watching
		f.must(e.State == 0 != *watching, "the supervision has no beginning")
		*watching = e.State != 2
	case events.UserSetting:
		if e.Keyword == "FetchMode" {
			f.agent(e.EntityID).fetching = e.Value == "true"
		}
	case events.UserWrapUpStarted:
		f.agent(e.UserID).wrapUp = true
	case events.UserWrapUpTerminated:
		f.must(f.agent(e.UserID).wrapUp, "no wrap-up to terminate")
		f.agent(e.UserID).wrapUp = false
	default:
		f.ofUser(event.Type, &e, f.calls[e.CallID])
	}
}

// inQueue follows a step of a call in a queue.
func (f *follower) inQueue(t events.Type, e *observed, c *followed) {
	f.t.Helper()
	if t == events.QueueCallInComing {
		f.must(c == nil, "the call has arrived before")
		f.calls[e.CallID] = &followed{caller: e.CallerNumber, target: e.TargetNumber, queue: e.QueueID}
		return
	}
	f.must(c != nil, "the call did not arrive")
	switch t {
	case events.QueueCallInArrived:
		f.must(!c.inLine && !c.transferring && c.talking == "", "the call is elsewhere")
		c.queue, c.inLine = e.QueueID, true
		f.line(c.queue).waiting++
		f.line(c.queue).figures.Offered++
	case events.QueueCallInOverflow:
		f.must(c.queue == e.QueueID && c.ringing == "" && c.talking == "", "the call does not wait in this queue")
		if c.inLine {
			f.leaves(c).figures.Overflowed++
		}
	case events.QueueCallInTransferStarted:
		f.must(c.queue == e.QueueID && !c.transferring, "no call of the queue to transfer")
		c.transferring = true
	case events.QueueCallInTransferConnected, events.QueueCallInTransferCancelled:
		f.must(c.queue == e.QueueID && c.transferring, "no transfer")
		c.transferring = false
	case events.QueueCallInDisconnected:
		f.must(c.queue == e.QueueID && c.ringing == "" && c.talking == "" && !c.transferring, "the call is elsewhere")
		if c.inLine && e.Reason == events.DisconnectReasonRemote {
			f.leaves(c).figures.Abandoned++
		} else if c.inLine {
			f.leaves(c).figures.Overflowed++
		}
		c.over = true
		delete(f.calls, e.CallID)
	}
}

// ofUser follows a step of a call at a user.
func (f *follower) ofUser(t events.Type, e *observed, c *followed) {
	f.t.Helper()
	switch t {
	case events.UserCallInComing:
		f.must(c == nil, "the call has arrived before")
		f.calls[e.CallID] = &followed{caller: e.CallerNumber, target: e.TargetNumber, user: e.UserID}
	case events.UserCallInUserAllocated:
		a := f.agent(e.UserID)
		f.must(c.ringing == "" && c.talking == "" && a.calls == 0 && !a.wrapUp, "the call or the agent is not free")
		c.ringing, a.calls = e.UserID, 1
		if c.queue != "" {
			f.line(c.queue).waiting--
			f.line(c.queue).ringing++
		}
	case events.UserCallInUserCancelled, events.UserCallInUserConnected:
		f.must(c.ringing == e.UserID, "the call does not ring there")
		c.ringing = ""
		if c.queue != "" {
			f.line(c.queue).waiting++
			f.line(c.queue).ringing--
		}
		if t == events.UserCallInUserCancelled {
			f.agent(e.UserID).calls--
			return
		}
		c.talking = e.UserID
		if c.queue != "" {
			q := f.leaves(c)
			q.talking++
			q.figures.Answered++
		}
	case events.UserCallInDisconnected:
		f.must(c.talking == e.UserID || c.talking == "" && c.user == e.UserID && !c.inLine && c.ringing == "",
			"the call is not connected to this agent")
		if c.talking != "" {
			f.agent(e.UserID).calls--
			if c.queue != "" {
				f.line(c.queue).talking--
			}
		}
		c.talking = ""
	case events.UserCallInTransferConnected, events.UserCallInTransferCancelled, events.UserCallInTransferStarted,
		events.UserCallInUserOverflow, events.UserCallInOverflow, events.UserCallInArrived:
		f.must(c != nil && !c.inLine && c.ringing == "", "the call is elsewhere")
	}
}

// outgoingCall follows a call that an agent makes, and callbacks.
func (f *follower) outgoingCall(t events.Type, e *observed) {
	f.t.Helper()
	switch t {
	case events.UserCallOutConnected:
		f.must(f.outgoing[e.CallID] == "", "connected twice")
		f.outgoing[e.CallID] = e.UserID
	case events.UserCallOutDisconnected:
		delete(f.outgoing, e.CallID)
	case events.CallbackChanged:
		f.must(e.Created != f.callbacks[e.CallBackID], "created twice, or never")
		f.callbacks[e.CallBackID] = true
		if e.IsClosed {
			delete(f.callbacks, e.CallBackID)
		}
	}
}

// status compares a status with the steps before it.
func (f *follower) status(e *observed) {
	f.t.Helper()
	if e.EventType == "UserStatus" {
		a := f.agent(e.EntityID)
		if (a.calls > 0 && e.ParkedCalls == 0 || a.watching) && !e.Talking {
			f.bad("Talking contradicts the calls")
		}
		f.must((e.WrapUpStart != nil) == a.wrapUp, "the wrap-up contradicts its events")
		f.must(!e.Serving || !e.FetchMode || a.fetching, "FetchMode contradicts the settings")
		f.must(!e.CanBeAllocatedTo || !e.Talking && !a.wrapUp && a.calls == 0 && e.Schedule && !e.FetchMode,
			"a call cannot be allocated")
		return
	}
	q := f.line(e.EntityID)
	f.must(e.NbrOfQueuingRequesters == q.waiting && e.NbrOfAllocated == q.ringing && e.NbrOfConnected == q.talking,
		"the counters contradict the calls")
	f.must(e.NbrOfRequesters == q.waiting+q.ringing+q.talking, "the sum of calls is wrong")
	f.must(e.NbrOfAgentsCheckedInQueue ==
		e.NbrOfAgentsImmediatelyFree+e.NbrOfAgentsShortTermAway+e.NbrOfAgentsLongTermAway, "the sum of agents is wrong")
}
