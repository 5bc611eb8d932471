package redis

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// routed is a table of which all lanes belong to one of two links.
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
	r.laneIndex = newLaneIndex(0, func(string) *link { return r.links[r.at] }, func(*lane) {})
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

// lookedUp answers a lookup of lanes: their journals end at n.
func (r *routed) lookedUp(at int, lanes []*lane, n uint64) {
	found := make([]place, len(lanes))
	for i := range found {
		found[i] = place{Position: backplane.Position{N: n}, counted: true}
	}
	r.located(r.links[at], lanes, found)
}

// mustAsk takes the next command of a link.
func (r *routed) mustAsk(t *testing.T, at int, want verb) {
	t.Helper()
	if v, lanes := r.batch(r.links[at], 1); v != want || len(lanes) != 1 {
		t.Fatalf("asked is %d for %d lanes, want %d for one", v, len(lanes), want)
	}
}

// A lane went to another master and came back before the first had confirmed it. The late confirmation was taken for
// that of the command that was still to come: the lane was given up there, as it was to be, and not asked for again.
func TestTable_lateConfirmation(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustAsk(t, 0, verbJoin)
	r.move(1)
	r.move(0)
	r.join(r.links[0], l, "")
	r.mustAsk(t, 0, verbDrop)
	r.mustAsk(t, 0, verbJoin)
	r.join(r.links[0], l, "")
	if done, _, err := r.state(l); !done || err != nil {
		t.Errorf("the lane is confirmed: %t, %v", done, err)
	}
}

// A lane was to be given up, went to another master and came back, and was wanted again. The late answer ended it anew.
func TestTable_lateLeave(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustAsk(t, 0, verbJoin)
	r.join(r.links[0], l, "")
	r.release(l.name, 1)
	r.expire(l.expires.Add(1))
	r.mustAsk(t, 0, verbLeave)
	r.acquire(l.name, 1)
	r.move(1)
	r.move(0)
	r.mustAsk(t, 0, verbJoin)
	r.leave(r.links[0], l)
	r.join(r.links[0], l, "")
	if done, _, err := r.state(l); !done || err != nil || !l.located {
		t.Errorf("the lane is confirmed: %t, %v; it is known where its journal ended: %t", done, err, l.located)
	}
}

// A lane went to another master and came back while its journal was looked up, and was looked up twice. What was
// published between its subscription and the second answer was then taken for what had been there before.
func TestTable_lookedUpTwice(t *testing.T) {
	r := newRouted()
	l := r.wants()
	first := r.takeLookups(r.links[0])
	r.move(1)
	r.move(0)
	r.lookedUp(0, first, 1)
	r.mustAsk(t, 0, verbJoin)
	r.lookedUp(0, r.takeLookups(r.links[0]), 5)
	if n := r.join(r.links[0], l, ""); n.origin.N != 1 {
		t.Errorf("the lane begins after event %d, want 1", n.origin.N)
	}
}

// A lane that a server sent elsewhere, and that nobody wants any more, is not kept until the next view of the cluster.
func TestTable_straysEnd(t *testing.T) {
	r := newRouted()
	l := r.wants()
	r.located(r.links[0], r.takeLookups(r.links[0]), []place{{elsewhere: errReplica}})
	r.release(l.name, 1)
	r.drained(l)
	if len(r.lanes)+len(r.strays) > 0 {
		t.Errorf("%d lanes and %d that were sent elsewhere are left", len(r.lanes), len(r.strays))
	}
}

// A lane that a server sent elsewhere is asked for again at the next view of the cluster, also if that shows no change.
func TestTable_straysAreAskedForAgain(t *testing.T) {
	r := newRouted()
	l := r.wants()
	look := func() { r.reroute(func() bool { return false }) }
	r.located(r.links[0], r.takeLookups(r.links[0]), []place{{elsewhere: errReplica}})
	look()
	r.lookedUp(0, r.takeLookups(r.links[0]), 1)
	r.mustAsk(t, 0, verbJoin)
	r.moved(r.links[0], []*lane{l}, nil, "")
	look()
	r.mustAsk(t, 0, verbJoin)
}
