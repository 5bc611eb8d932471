package redis

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// routed is a lane index whose lanes all belong to one of two links.
type routed struct {
	*laneIndex
	links [2]*link
	at    int
}

func newRouted() *routed {
	r := &routed{}
	for i := range r.links {
		r.links[i] = newLink(nil, "", nil, nil)
	}
	r.laneIndex = newLaneIndex(backplane.Layout{}, 0, 1, func(*lane) *link { return r.links[r.at] }, func(*lane) {})
	return r
}

// move gives all lanes to a link.
func (r *routed) move(to int) {
	r.reroute(func() bool {
		r.at = to
		return true
	})
}

func (r *routed) wants() *lane {
	return r.acquire(backplane.Layout{}.Lane(events.NewID(), events.NewID()), 1)
}

// lookedUp finishes the lookup of lanes: their journals end at n.
func (r *routed) lookedUp(at int, lanes []*lane, n uint64) {
	found := make([]place, len(lanes))
	for i := range found {
		found[i] = place{Position: backplane.Position{N: n}, counted: true}
	}
	r.located(r.links[at], lanes, found)
}

// joined confirms a subscription and returns the action for the sequence of the lane.
func (r *routed) joined(at int, l *lane) (posted *joined) {
	r.join(r.links[at], l, "", func(n *joined) { posted = n })
	return posted
}

// mustRequest takes the next request of a link.
func (r *routed) mustRequest(t *testing.T, at int, want verb) {
	t.Helper()
	if v, lanes := r.batch(r.links[at], 1); v != want || len(lanes) != 1 {
		t.Fatalf("requested is %d for %d lanes, want %d for one", v, len(lanes), want)
	}
}

// A lane moved to another master and came back before the first master had confirmed it. The node took the late
// confirmation for that of a later request: it gave the lane up there, as intended, and did not subscribe it again.
func TestLaneIndex_lateConfirmation(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustRequest(t, 0, verbJoin)
	r.move(1)
	r.move(0)
	r.joined(0, l)
	r.mustRequest(t, 0, verbDrop)
	r.mustRequest(t, 0, verbJoin)
	r.joined(0, l)
	if done, _, err := r.state(l); !done || err != nil {
		t.Errorf("the lane is confirmed: %t, %v", done, err)
	}
}

// A lane was to be given up, moved to another master and came back, and was acquired again. The late answer ended it
// anew.
func TestLaneIndex_lateLeave(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustRequest(t, 0, verbJoin)
	r.joined(0, l)
	r.release(l.name, 1)
	r.expire(l.expires.Add(1))
	r.mustRequest(t, 0, verbLeave)
	r.acquire(l.name, 1)
	r.move(1)
	r.move(0)
	r.mustRequest(t, 0, verbJoin)
	r.leave(r.links[0], l)
	r.joined(0, l)
	if done, _, err := r.state(l); !done || err != nil || !l.located {
		t.Errorf("the lane is confirmed: %t, %v; it is known where its journal ended: %t", done, err, l.located)
	}
}

// A lane moved to another master and came back while its journal was looked up, and was looked up twice. The node then
// ignored events that were published between its subscription and the second answer.
func TestLaneIndex_lookedUpTwice(t *testing.T) {
	r := newRouted()
	l := r.wants()
	first := r.takeLookups(r.links[0])
	r.move(1)
	r.move(0)
	r.lookedUp(0, first, 1)
	r.mustRequest(t, 0, verbJoin)
	r.lookedUp(0, r.takeLookups(r.links[0]), 5)
	if n := r.joined(0, l); n.origin.N != 1 {
		t.Errorf("the lane begins after event %d, want 1", n.origin.N)
	}
}

// A lane that a server sent elsewhere and that is released is not kept until the next view of the cluster.
func TestLaneIndex_straysEnd(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.located(r.links[0], r.takeLookups(r.links[0]), []place{{elsewhere: errReplica}})
	r.release(l.name, 1)
	r.drained(l)
	if len(r.lanes)+len(r.strays) > 0 {
		t.Errorf("%d lanes and %d that were sent elsewhere are left", len(r.lanes), len(r.strays))
	}
}

// A lane that a server sent elsewhere is requested again at the next view of the cluster, even if the view shows no
// change.
func TestLaneIndex_straysAreRequestedAgain(t *testing.T) {
	r := newRouted()
	l := r.wants()
	look := func() { r.reroute(func() bool { return false }) }
	r.located(r.links[0], r.takeLookups(r.links[0]), []place{{elsewhere: errReplica}})
	look()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustRequest(t, 0, verbJoin)
	r.moved(r.links[0], []*lane{l}, nil, "")
	look()
	r.mustRequest(t, 0, verbJoin)
}

// A lane knows its origin before Acquire returns. A snapshot that came before the origin took every state of Redis for
// one that the lane would still deliver, and answered that there was none.
func TestLaneIndex_originBeforeAcquire(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustRequest(t, 0, verbJoin)
	_, changed, _ := r.state(l)
	r.join(r.links[0], l, "", func(*joined) {
		select {
		case <-changed:
			t.Error("a caller of Acquire may go on before the lane has its origin")
		default:
		}
		if l.state == subscribed {
			t.Error("the lane counts as subscribed before it has its origin")
		}
	})
	if done, _, err := r.state(l); !done || err != nil {
		t.Errorf("the lane is confirmed: %t, %v", done, err)
	}
}

// A former master had accepted events for a while. Lanes that were not subscribed at the moment when it learned of its
// end, because the connection to the new one had just ended, reported no loss.
func TestLaneIndex_lossOfAFormerMasterReachesLanesUnderWay(t *testing.T) {
	r := newRouted()
	g := &group{}
	r.links[0].group = g
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustRequest(t, 0, verbJoin)
	if lanes := r.begunAt(g); len(lanes) != 0 {
		t.Errorf("%d lanes report a loss that were never subscribed", len(lanes))
	}
	r.joined(0, l)
	for _, step := range []func(){
		func() {},
		func() { r.finish(r.links[0], map[string]*lane{l.name: l}, nil, "") },
		func() { r.mustRequest(t, 0, verbJoin) },
	} {
		step()
		if lanes := r.begunAt(g); len(lanes) != 1 || lanes[0] != l {
			t.Errorf("%d lanes report the loss, want one", len(lanes))
		}
	}
}
