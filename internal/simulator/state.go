package simulator

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// State is the state of the call centre at a moment, as its events so far describe it. The REST API of a real system
// answers with such a state: a client reads it at its start and after a gap, and follows the events from then on.
type State struct {
	// Run is the id of the run. Another run has other calls.
	Run      string `json:"run"`
	Scenario string `json:"scenario"`
	Seed     uint64 `json:"seed"`
	// AsOf is the time of the moment. The state has all events up to this Timestamp, and none after it.
	AsOf      string `json:"asOf"`
	Started   string `json:"started"`
	TimeOfDay string `json:"timeOfDay"`
	// ServiceLevelSeconds is the time in which a call should be answered.
	ServiceLevelSeconds float64         `json:"serviceLevelSeconds"`
	Queues              []QueueState    `json:"queues"`
	Users               []UserState     `json:"users"`
	Calls               []CallState     `json:"calls"`
	Callbacks           []CallbackState `json:"callbacks"`
	Alerts              []Alert         `json:"alerts"`
	// History has a sample each ten seconds of the last hour, the oldest first.
	History []Sample `json:"history"`
}

// QueueState is the state of a queue. Its last QueueStatus has the same numbers.
type QueueState struct {
	ID          string  `json:"queueId"`
	Name        string  `json:"name"`
	OpenStatus  int     `json:"openStatus"`
	Waiting     int     `json:"waiting"`
	Ringing     int     `json:"ringing"`
	Connected   int     `json:"connected"`
	Free        int     `json:"free"`
	CheckedIn   int     `json:"checkedIn"`
	WrapUp      int     `json:"wrapUp"`
	ShortAway   int     `json:"shortAway"`
	LongAway    int     `json:"longAway"`
	Fetching    int     `json:"fetching"`
	LongestWait int     `json:"longestWait"`
	Figures     Figures `json:"figures"`
}

// Figures count the calls of a queue since the start. Each call that is offered is answered, abandoned, diverted to
// another target or still in line. A refused call never was in line, or had no other target.
type Figures struct {
	Offered    int `json:"offered"`
	Answered   int `json:"answered"`
	InTime     int `json:"inTime"`
	Abandoned  int `json:"abandoned"`
	Overflowed int `json:"overflowed"`
	Refused    int `json:"refused"`
}

// UserState is the state of a user.
type UserState struct {
	ID           string `json:"userId"`
	Name         string `json:"name"`
	State        string `json:"state"`
	Since        string `json:"since"`
	Queue        string `json:"queueId,omitempty"`
	Call         string `json:"callId,omitempty"`
	Availability string `json:"availability"`
	Note         string `json:"note"`
	Parked       int    `json:"parked"`
	FetchMode    bool   `json:"fetchMode"`
}

// CallState is the state of an incoming call that is in a line or at an agent.
type CallState struct {
	ID     string `json:"callId"`
	State  string `json:"state"` // waiting, ringing, connected, held or parked
	Since  string `json:"since"`
	Queue  string `json:"queueId,omitempty"`
	Agent  string `json:"userId,omitempty"`
	Caller string `json:"callerNumber"`
	Target string `json:"targetNumber"`
	Queued string `json:"queued,omitempty"` // when it entered the queue
}

// CallbackState is an open callback.
type CallbackState struct {
	ID       string `json:"callBackId"`
	List     string `json:"callListId"`
	Queue    string `json:"queueId"`
	Contact  string `json:"contactNumber"`
	Name     string `json:"contactName"`
	Created  string `json:"creationTime"`
	Assigned string `json:"assignedUserId,omitempty"`
	Kind     int    `json:"typeId"`
	Attempts int    `json:"attempts"`
}

// Sample is the number of calls at a moment.
type Sample struct {
	At        string `json:"at"`
	Waiting   int    `json:"waiting"`
	Connected int    `json:"connected"`
}

// sampleTime is the interval of the samples, maxSamples the number of samples in the history.
const (
	sampleTime = 10 * time.Second
	maxSamples = 360
)

// history has the latest samples.
type history []Sample

func (s *Simulator) sample() {
	sample := Sample{At: s.stamp}
	for _, q := range s.queues {
		sample.Waiting += q.counters.waiting
		sample.Connected += q.counters.connected
	}
	if len(s.history) == maxSamples {
		copy(s.history, s.history[1:])
		s.history = s.history[:maxSamples-1]
	}
	s.history = append(s.history, sample)
}

// State returns the current state. It shares nothing with the simulator.
func (s *Simulator) State() *State {
	state := &State{
		Run: s.run, Scenario: s.scenario.Name, Seed: s.options.Seed, AsOf: s.stamp, Started: s.stampAt(0),
		TimeOfDay: s.timeOfDay(s.now).String(), ServiceLevelSeconds: s.serviceLevel().Seconds(),
		Queues: make([]QueueState, 0, len(s.queues)), Users: make([]UserState, 0, len(s.users)),
		Calls: []CallState{}, Callbacks: []CallbackState{}, Alerts: []Alert{},
		History: append([]Sample{}, s.history...),
	}
	for _, q := range s.queues {
		st := q.last
		state.Queues = append(state.Queues, QueueState{
			ID: q.id, Name: q.Name, OpenStatus: st.open, Waiting: st.waiting, Ringing: st.ringing,
			Connected: st.connected, Free: st.free, CheckedIn: st.checkedIn, WrapUp: st.wrapUp, ShortAway: st.shortAway,
			LongAway: st.longAway, Fetching: st.fetching, LongestWait: st.longest, Figures: q.figures,
		})
		for _, c := range q.line {
			state.Calls = append(state.Calls, s.callState(c))
		}
		for _, alert := range q.raised {
			if alert != nil {
				state.Alerts = append(state.Alerts, *alert)
			}
		}
	}
	for _, a := range s.users {
		state.Users = append(state.Users, s.userState(a))
		if c := a.call; c != nil && (c.state == callConnected || c.queue == nil) {
			state.Calls = append(state.Calls, s.callState(c))
		}
	}
	for _, list := range s.lists {
		for _, b := range list.open {
			state.Callbacks = append(state.Callbacks, CallbackState{
				ID: b.id, List: list.id, Queue: list.queue.id, Contact: b.contact, Name: b.name,
				Created: s.stampAt(b.created), Assigned: idOf(b.assigned), Kind: b.kind, Attempts: b.attempts,
			})
		}
	}
	return state
}

func (s *Simulator) callState(c *call) CallState {
	state := CallState{
		ID: c.id, State: c.stateName(), Since: s.stampAt(c.since), Agent: idOf(c.agent), Caller: c.caller,
		Target: c.target,
	}
	if c.queue != nil {
		state.Queue, state.Queued = c.queue.id, s.stampAt(c.queued)
	}
	return state
}

func (c *call) stateName() string {
	switch {
	case c.parked:
		return "parked"
	case c.held:
		return "held"
	case c.state == callConnected:
		return "connected"
	case c.state == callRinging:
		return "ringing"
	default:
		return "waiting"
	}
}

// userState returns the state of a user: one word, and since when.
func (s *Simulator) userState(a *agent) UserState {
	state := UserState{
		ID: a.id, Name: a.Name, Availability: a.availability, Note: a.note, Parked: a.parked, FetchMode: a.fetching,
	}
	since := max(a.freeSince, a.away)
	switch {
	case a.watched != nil:
		state.State, since = "supervising", a.changed
		state.Call = a.watched.id
	case a.call != nil:
		state.State, since = "talking", a.call.since
		if a.call.state == callRinging || a.call.parked {
			state.State = a.call.stateName()
		}
		state.Call = a.call.id
		if a.call.queue != nil {
			state.Queue = a.call.queue.id
		}
	case a.out != nil:
		state.State, since = "calling", a.changed
	case a.wrapUp != nil:
		state.State, since = "wrapUp", a.wrapUp.start
		state.Queue = a.wrapUp.queue.id
	case !a.atWork:
		state.State, since = "offWork", a.away
	case a.availability != events.AvailabilityAvailable:
		state.State, since = "away", a.away
	case a.fetching:
		state.State = "fetching"
	default:
		state.State = "free"
	}
	if len(a.queues) == 0 && state.State == "free" {
		state.State = "noQueue"
	}
	state.Since = s.stampAt(since)
	return state
}
