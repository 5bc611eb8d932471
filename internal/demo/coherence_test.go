package demo_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/demo"
)

// observed has the properties of events that the test follows.
type observed struct {
	EventType                  string
	EntityID                   string
	CallID                     string
	QueueID                    string
	UserID                     string
	CallBackID                 string
	AssignedUserID             string
	Created, IsClosed          bool
	Talking, CanBeAllocatedTo  bool
	WrapUpStart                *string
	NbrOfRequesters            int
	NbrOfAllocated             int
	NbrOfConnected             int
	NbrOfQueuingRequesters     int
	NbrOfAgentsCheckedInQueue  int
	NbrOfAgentsImmediatelyFree int
	NbrOfAgentsShortTermAway   int
	NbrOfAgentsLongTermAway    int
}

// TestSimulator_isCoherent follows every call, agent and queue through a day, and compares the states with the events
// of the calls.
func TestSimulator_isCoherent(t *testing.T) {
	type call struct {
		queue   string // its queue; empty for a direct call to an agent
		ringing string // agent
		talking string // agent
		over    bool
	}
	calls := map[string]*call{}
	busy := map[string]string{}    // call by agent
	wrapUp := map[string]bool{}    // by agent
	callbacks := map[string]bool{} // open callbacks
	counts := func(queue string) (waiting, ringing, talking int) {
		for _, c := range calls {
			switch {
			case c.over || c.queue != queue:
			case c.talking != "":
				talking++
			case c.ringing != "":
				ringing++
			default:
				waiting++
			}
		}
		return waiting, ringing, talking
	}

	for i, data := range live(t, demo.Options{Seed: 11}, 20*time.Minute) {
		var e observed
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		bad := func(what string) {
			t.Helper()
			t.Fatalf("event %d: %s\n%s", i, what, data)
		}
		c := calls[e.CallID]
		switch e.EventType {
		case "QueueCallInComing":
			if c != nil {
				bad("the call has arrived before")
			}
			calls[e.CallID] = &call{}
		case "QueueCallInArrived":
			if c == nil || c.over || c.queue != "" {
				bad("the call is not between queues")
			}
			c.queue = e.QueueID
		case "QueueCallInTransferConnected":
			if c.queue != e.QueueID || c.ringing != "" || c.talking != "" {
				bad("the call does not wait in this queue")
			}
			c.queue = ""
		case "QueueCallInDisconnected":
			if c.over || c.ringing != "" || c.talking != "" {
				bad("the call does not wait")
			}
			c.over = true
		case "UserCallInComing":
			calls[e.CallID] = &call{}
		case "UserCallInUserAllocated":
			if c == nil || c.over || c.ringing != "" || busy[e.UserID] != "" || wrapUp[e.UserID] && c.queue != "" {
				bad("the call or the agent is not free")
			}
			c.ringing, busy[e.UserID] = e.UserID, e.CallID
		case "UserCallInUserCancelled":
			if c.ringing != e.UserID {
				bad("the call does not ring there")
			}
			c.ringing = ""
			delete(busy, e.UserID)
		case "UserCallInUserConnected":
			if c.ringing != e.UserID {
				bad("the call does not ring there")
			}
			c.ringing, c.talking = "", e.UserID
		case "UserCallInUserOverflow":
			c.over = true
		case "UserCallInDisconnected":
			if c.talking != e.UserID {
				bad("the call is not connected to this agent")
			}
			c.over = true
			delete(busy, e.UserID)
		case "UserWrapUpStarted":
			wrapUp[e.UserID] = true
		case "UserWrapUpTerminated":
			if !wrapUp[e.UserID] {
				bad("no wrap-up to terminate")
			}
			delete(wrapUp, e.UserID)
		case "UserCallOutDisconnected":
			if busy[e.UserID] != "callback" {
				bad("the agent has no outgoing call")
			}
			delete(busy, e.UserID)
		case "CallbackChanged":
			if e.Created == callbacks[e.CallBackID] {
				bad("created twice, or never")
			}
			callbacks[e.CallBackID] = true
			if e.IsClosed {
				delete(callbacks, e.CallBackID)
			}
			if e.AssignedUserID != "" {
				busy[e.AssignedUserID] = "callback"
			}
		case "UserStatus":
			if e.Talking != (busy[e.EntityID] != "") {
				bad("Talking contradicts the calls")
			}
			if (e.WrapUpStart != nil) != wrapUp[e.EntityID] || e.CanBeAllocatedTo && (e.Talking || wrapUp[e.EntityID]) {
				bad("the wrap-up contradicts its events")
			}
		case "QueueStatus":
			waiting, ringing, talking := counts(e.EntityID)
			if e.NbrOfQueuingRequesters != waiting || e.NbrOfAllocated != ringing || e.NbrOfConnected != talking {
				bad("the counters contradict the calls")
			}
			if e.NbrOfRequesters != waiting+ringing+talking {
				bad("the sum of calls is wrong")
			}
			if away := e.NbrOfAgentsShortTermAway + e.NbrOfAgentsLongTermAway; e.NbrOfAgentsCheckedInQueue != away+
				e.NbrOfAgentsImmediatelyFree {
				bad("the sum of agents is wrong")
			}
		}
	}
	if len(calls) < 200 || len(callbacks) == 0 {
		t.Errorf("too few events: %d calls, %d open callbacks", len(calls), len(callbacks))
	}
}
