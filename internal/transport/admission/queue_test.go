package admission_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/transport/admission"
)

// rig is a queue of a node with a number of places.
type rig struct {
	*admission.Queue
	t    *testing.T
	room atomic.Int64
	wait sync.WaitGroup

	mu  sync.Mutex
	got map[admission.Outcome]int
	log []events.ID // of organizations, in the order of their grants
}

func newRig(t *testing.T, o admission.Options) *rig {
	r := &rig{t: t, got: map[admission.Outcome]int{}}
	r.room.Store(1_000_000)
	o.Room = func() int { return int(r.room.Load()) }
	r.Queue = admission.New(o)
	return r
}

// request makes n requests, each of a user and an address of its own.
func (r *rig) request(n int, kind admission.Kind, organization byte) {
	for range n {
		r.requestAs(kind, admission.Client{Organization: events.ID{organization}, User: events.NewID()})
	}
	synctest.Wait()
}

func (r *rig) requestAs(kind admission.Kind, client admission.Client) {
	r.wait.Go(func() {
		outcome := r.Admit(r.t.Context(), kind, client)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got[outcome]++
		if outcome == admission.Granted {
			r.log = append(r.log, client.Organization)
		}
	})
}

// outcomes checks the outcomes since the last call.
func (r *rig) outcomes(when string, want map[admission.Outcome]int) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.got); diff != "" {
		r.t.Errorf("%s: -want +got\n%s", when, diff)
	}
	r.got = map[admission.Outcome]int{}
}

type outcomes = map[admission.Outcome]int

func TestQueue_letsInAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Rate: 10, Burst: 5, Wait: 20 * time.Second, Capacity: 400})
		r.request(100, admission.Negotiate, 1)
		r.outcomes("at once", outcomes{admission.Granted: 5})
		for second := range 3 {
			time.Sleep(time.Second)
			r.outcomes("a second later", outcomes{admission.Granted: 10})
			if waiting := r.Waiting(); waiting != 95-10*(second+1) {
				t.Errorf("%d wait", waiting)
			}
		}
		r.request(10, admission.Announced, 1)
		r.outcomes("announced", outcomes{admission.Granted: 10})
		if r.Try(admission.Direct) || r.Try(admission.Negotiate) || !r.Try(admission.Announced) {
			t.Error("the rate counts for the first two only")
		}
		time.Sleep(10 * time.Second)
		r.outcomes("in the end", outcomes{admission.Granted: 65})
		if !r.Try(admission.Negotiate) {
			t.Error("there is no queue, and it has to wait")
		}
	})
}

// Without a rate and with room, nothing waits.
func TestQueue_withoutRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Capacity: 10})
		r.request(10_000, admission.Negotiate, 1)
		r.outcomes("at once", outcomes{admission.Granted: 10_000})
	})
}

func TestQueue_isFairAmongOrganizations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Rate: 10, Wait: 20 * time.Second, Capacity: 300})
		r.request(201, admission.Negotiate, 1)
		r.request(5, admission.Negotiate, 2)
		r.request(3, admission.Negotiate, 3)
		time.Sleep(1050 * time.Millisecond)
		synctest.Wait()
		want := []events.ID{{1}, {1}, {2}, {3}, {1}, {2}, {3}, {1}, {2}, {3}, {1}}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Error(diff)
		}
		r.Close()
		r.wait.Wait()
	})
}

// The requests that the rate cannot serve in time are refused at different times, and the others in time.
func TestQueue_spreadsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Rate: 10, Burst: 1, Wait: 10 * time.Second, Capacity: 200})
		r.request(145, admission.Negotiate, 1)
		refused := 0
		for range 10 {
			time.Sleep(time.Second)
			synctest.Wait()
			r.mu.Lock()
			late := r.got[admission.Late]
			r.mu.Unlock()
			if late-refused > 15 {
				t.Errorf("%d are refused in one second", late-refused)
			}
			refused = late
		}
		r.wait.Wait()
		if granted := r.got[admission.Granted]; granted < 100 || granted > 102 || granted+r.got[admission.Late] != 145 {
			t.Errorf("outcomes: %v", r.got)
		}
		if r.Waiting() != 0 {
			t.Errorf("%d are left", r.Waiting())
		}
	})
}

func TestQueue_isBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Rate: 1, Wait: time.Hour, Capacity: 160})
		r.request(1, admission.Negotiate, 1)
		r.outcomes("the first", outcomes{admission.Granted: 1})
		one := admission.Client{Organization: events.ID{1}, User: events.ID{1}}
		for range 12 {
			r.requestAs(admission.Negotiate, one)
		}
		r.outcomes("one user", outcomes{admission.CrowdedByUser: 2})
		near := admission.Client{Organization: events.ID{2}, Network: netip.MustParseAddr("198.51.100.7")}
		for range 90 {
			near.User = events.NewID()
			r.requestAs(admission.Negotiate, near)
		}
		r.outcomes("one address", outcomes{admission.CrowdedByAddress: 10})
		r.request(50, admission.Negotiate, 2)
		r.outcomes("one organization", outcomes{admission.CrowdedByOrganization: 10})
		if r.Crowded() {
			t.Error("crowded by one organization")
		}
		r.request(40, admission.Negotiate, 3)
		r.outcomes("all", outcomes{admission.Crowded: 10})
		if !r.Crowded() || r.Waiting() != 160 {
			t.Errorf("crowded: %v, %d wait", r.Crowded(), r.Waiting())
		}
		r.Close()
		r.outcomes("at the end", outcomes{admission.Stopped: 160})
		r.request(1, admission.Announced, 1)
		r.outcomes("after the end", outcomes{admission.Stopped: 1})
	})
}

// A full node lets in one client for each that leaves, upgrades first.
func TestQueue_waitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{RoomWait: 10 * time.Second, Capacity: 100})
		r.room.Store(0)
		r.request(3, admission.Negotiate, 1)
		r.request(1, admission.Announced, 1)
		r.request(1, admission.Direct, 2)
		r.outcomes("full", outcomes{})
		leave := func() {
			r.room.Add(1)
			r.Left()
		}
		leave()
		r.outcomes("one has left", outcomes{admission.Granted: 1})
		if diff := cmp.Diff([]events.ID{{1}}, r.log); diff != "" || r.Waiting() != 4 {
			t.Errorf("%d wait; %s", r.Waiting(), diff)
		}
		r.room.Add(-1)
		r.Entered(admission.Announced)
		r.outcomes("it has its connection", outcomes{})
		leave()
		r.outcomes("another has left", outcomes{admission.Granted: 1}) // a negotiate: the place is kept
		if r.Try(admission.Direct) || r.Try(admission.Negotiate) {
			t.Error("a place is taken twice")
		}
		if !r.Try(admission.Announced) {
			t.Error("the place was not kept for the client that has negotiated")
		}
		r.room.Add(-1)
		r.Entered(admission.Announced)
		leave()
		r.outcomes("and another", outcomes{admission.Granted: 1}) // the direct one: it is the turn of organization 2
		if r.log[2] != (events.ID{2}) {
			t.Errorf("organizations: %v", r.log)
		}
		r.room.Add(-1)
		r.Entered(admission.Direct)
		time.Sleep(10 * time.Second)
		r.outcomes("in the end", outcomes{admission.Full: 2})
	})
}

// Requests that wait for room occupy sockets. The node needs sockets to refuse further requests.
func TestQueue_holdsFewWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{RoomWait: time.Hour, Capacity: 100, RoomCapacity: 3})
		r.room.Store(0)
		r.request(5, admission.Negotiate, 1)
		r.outcomes("full", outcomes{admission.Full: 2})
		r.Close()
		r.wait.Wait()
	})
}

// A client that negotiates and never connects keeps its place for a moment only.
func TestQueue_forgetsClientsThatNeverConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{RoomWait: 20 * time.Second, Capacity: 100})
		r.room.Store(0)
		r.request(3, admission.Negotiate, 1)
		r.room.Store(1)
		r.Left()
		for range 3 {
			r.outcomes("a place is free", outcomes{admission.Granted: 1})
			time.Sleep(3 * time.Second)
		}
		if r.wait.Wait(); !r.Try(admission.Negotiate) {
			t.Error("a place stays reserved without a client")
		}
	})
}

func TestQueue_endsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{RoomWait: time.Hour, Capacity: 100})
		r.room.Store(0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan admission.Outcome)
		go func() { done <- r.Admit(ctx, admission.Negotiate, admission.Client{}) }()
		synctest.Wait()
		cancel()
		if outcome := <-done; outcome != admission.Gone || r.Waiting() != 0 {
			t.Errorf("outcome %d, %d wait", outcome, r.Waiting())
		}
	})
}

// A client that may not wait is refused for the lack of room, also if it has given up by then.
func TestQueue_refusesWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Options{Capacity: 100, RoomCapacity: 3})
		r.room.Store(0)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			if outcome := r.Admit(gone, admission.Negotiate, admission.Client{}); outcome != admission.Full {
				t.Fatal(outcome)
			}
		}
		r.Close()
	})
}
