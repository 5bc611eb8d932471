package redis

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// table has the lanes of this node: who counts on them, and what must be asked of Redis.
type laneIndex struct {
	linger time.Duration
	route  func(lane string) *link // called with mu held; nil: it is not known where the lane belongs
	gone   func(l *lane)           // called with mu held, for a lane to be given up; through must follow

	mu        sync.Mutex
	lanes     map[string]*lane    // guarded by mu; by name
	loads     map[events.ID]*load // guarded by mu; by organization
	lingering map[*lane]struct{}  // guarded by mu; those whose expires is set
	strays    map[*lane]struct{}  // guarded by mu; those that a server sent elsewhere since the last reroute
	refused   map[*lane]struct{}  // guarded by mu; those whose failed is set

	// Guarded by mu: how many lanes are served, and how many of the others are confirmed and refused.
	channels, confirmed, failed int
}

func newLaneIndex(linger time.Duration, route func(string) *link, gone func(*lane)) *laneIndex {
	return &laneIndex{
		linger: linger, route: route, gone: gone,
		lanes: map[string]*lane{}, loads: map[events.ID]*load{}, lingering: map[*lane]struct{}{},
		strays: map[*lane]struct{}{}, refused: map[*lane]struct{}{},
	}
}

// queue holds lanes that a loop of an epoch has to see to.
type queue struct {
	lanes []*lane       // guarded by index.mu
	work  chan struct{} // has room for one; filled when lanes is
}

func newQueue() queue { return queue{work: make(chan struct{}, 1)} }

func (q *queue) addLocked(l *lane) {
	q.lanes = append(q.lanes, l)
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.work <- struct{}{}:
	default:
	}
}

// acquire counts n topics on the lane of that name, which begins if it is new; nil if the name is no lane.
func (t *laneIndex) acquire(name string, n int) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[name]
	if l == nil {
		organization, ok := backplane.LaneOrganization(name)
		if !ok {
			return nil
		}
		l = &lane{name: name, organization: organization, load: t.loadLocked(organization)}
		l.link.Store(t.route(name))
		t.lanes[name] = l
	}
	l.refs += n
	l.expires = time.Time{}
	delete(t.lingering, l)
	t.failLocked(l, nil) // a new listener is a reason to ask again
	if l.state == unsubscribed {
		t.enqueueLocked(l)
	}
	return l
}

// serve has a channel subscribed that is not a lane of an organization, for good; handle takes its messages, one at a
// time, and missed is told when some may have been missed: at each subscription, too. missed may be nil.
func (t *laneIndex) subscribeChannel(name string, handle func(payload []byte), missed func()) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &lane{name: name, load: &load{}, handle: handle, missed: missed, refs: 1, located: true}
	l.link.Store(t.route(name))
	t.lanes[name] = l
	t.channels++
	t.enqueueLocked(l)
	return l
}

// find is the lane of that name; nil if there is none.
func (t *laneIndex) find(name string) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lanes[name]
}

// release takes n topics back. The lane stays for the linger time.
func (t *laneIndex) release(name string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[name]
	if l == nil || l.refs < n {
		panic("backplane: Release without Acquire")
	}
	if l.refs -= n; l.refs > 0 {
		return
	}
	if l.state != subscribed {
		t.enqueueLocked(l) // nothing worth keeping
		return
	}
	l.expires = time.Now().Add(t.linger)
	t.lingering[l] = struct{}{}
}

// expire gives up the lanes whose linger time is over.
func (t *laneIndex) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.lingering {
		if now.After(l.expires) {
			l.expires = time.Time{}
			delete(t.lingering, l)
			t.enqueueLocked(l)
		}
	}
}

// retry asks again for the lanes that the server refused.
func (t *laneIndex) retry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.refused {
		t.enqueueLocked(l)
	}
}

// enqueueLocked has the lane's link see to it: first to where its journal ends, unless that is known.
func (t *laneIndex) enqueueLocked(l *lane) {
	link := l.link.Load()
	switch {
	case l.queued:
	case !l.wantedLocked() && l.state == unsubscribed:
		t.forgetLocked(l)
	case link == nil:
	case !l.located && l.state == unsubscribed:
		l.queued = true
		link.lookups.addLocked(l)
	default:
		l.queued = true
		link.joins.addLocked(l)
	}
}

// forgetLocked ends a lane. It stays in the table until its messages are through: if somebody wants it again before
// that, they come before those of the next subscription.
func (t *laneIndex) forgetLocked(l *lane) {
	l.located, l.era, l.history = false, nil, ""
	t.gone(l)
}

// through is told that a lane that was given up has no messages any more.
func (t *laneIndex) drained(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.wantedLocked() || l.queued || l.state != unsubscribed || t.lanes[l.name] != l {
		return
	}
	delete(t.lanes, l.name)
	delete(t.strays, l)
	t.failLocked(l, nil)
	if l.load.lanes--; l.load.lanes == 0 {
		delete(t.loads, l.organization)
	}
}

// scouts takes lanes from the queue of those whose journal was not looked up.
func (t *laneIndex) takeLookups(link *link) []*lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(link.lookups.lanes), batchLanes)
	lanes := link.lookups.lanes[:n:n]
	link.lookups.lanes = link.lookups.lanes[n:]
	return lanes
}

// located records what was looked up, and has the lanes subscribed. Those that the server sent elsewhere are looked up
// again when it is known, by the next reroute, to whom they belong.
func (t *laneIndex) located(link *link, lanes []*lane, found []place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, at := range found {
		l := lanes[i]
		switch {
		case l.link.Load() != link:
			continue // it belongs elsewhere by now, and is in the queue there
		case l.located:
			continue // it came back meanwhile, and was in this queue twice
		}
		if at.elsewhere != nil {
			l.queued = false
			t.strays[l] = struct{}{}
			continue
		}
		l.located, l.origin, l.counted = true, at.Position, at.counted
		l.queued = false
		t.enqueueLocked(l)
	}
}

// finish ends an epoch of a link: nothing is subscribed there any more. Those that were, which are given, keep the
// latest proof that nothing was missed until then. All lanes are queued again, but those that only linger. The map of
// those that were subscribed is the link's then.
func (t *laneIndex) finish(link *link, joined map[string]*lane, era *sequence.Era, history string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range joined {
		if era != nil {
			l.era = era
		}
		l.history = history
	}
	link.joins.lanes, link.lookups.lanes, link.orphans = make([]*lane, 0, len(joined)), nil, nil
	clear(joined)
	link.spare = joined
	for _, l := range t.lanes {
		if l.link.Load() != link {
			continue
		}
		if l.refs == 0 {
			l.expires = time.Time{}
			delete(t.lingering, l)
		}
		l.queued = false
		t.setLocked(l, unsubscribed)
		t.enqueueLocked(l)
	}
}

// batch takes from the queue what one command can ask for, at most so many lanes; none if nothing is to be done.
func (t *laneIndex) batch(link *link, most int) (v verb, lanes []*lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := min(len(link.orphans), most); n > 0 {
		lanes, link.orphans = link.orphans[:n:n], link.orphans[n:]
		return verbDrop, lanes
	}
	q := &link.joins
	for len(q.lanes) > 0 && len(lanes) < most {
		l := q.lanes[0]
		next, state := verbPing, l.state
		switch wanted := l.wantedLocked(); {
		case l.link.Load() != link:
			q.lanes = q.lanes[1:]
			continue
		case wanted && l.state == unsubscribed:
			next, state = verbJoin, subscribing
		case !wanted && l.state == subscribed:
			next, state = verbLeave, unsubscribing
		case !wanted && l.state == unsubscribed:
			t.forgetLocked(l)
		}
		if next != verbPing {
			// One command has one verb; a lane that was refused has a command of its own.
			if len(lanes) > 0 && (next != v || l.alone || lanes[0].alone) {
				return v, lanes
			}
			v = next
			lanes = append(lanes, l)
		}
		t.setLocked(l, state)
		l.queued = false
		q.lanes = q.lanes[1:]
	}
	return v, lanes
}

// join records that a lane is subscribed, and answers what its sequence must be told.
func (t *laneIndex) join(link *link, l *lane, history string) *joined {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &joined{
		origin:  l.origin,
		counted: l.counted,
		lapse: sequence.Break{
			Era:     l.era,
			Changed: l.history != history || history == "",
			Reason:  backplane.LossOutage,
		},
	}
	if l.link.Load() != link || l.state != subscribing {
		return n // it belongs elsewhere, or did meanwhile: what was asked for since then follows
	}
	l.alone = false
	t.setLocked(l, subscribed)
	t.failLocked(l, nil)
	l.notifyLocked()
	if !l.wantedLocked() {
		t.enqueueLocked(l)
	}
	return n
}

// leave records that a lane, which was given up, is no longer subscribed: it ends, or begins anew. One that belongs to
// another link by now may be subscribed there, and one that did meanwhile may have been asked for again.
func (t *laneIndex) leave(link *link, l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.link.Load() != link || l.state != unsubscribing {
		return
	}
	t.forgetLocked(l)
	t.setLocked(l, unsubscribed)
	l.notifyLocked()
	if l.wantedLocked() {
		t.enqueueLocked(l)
	}
}

// moved records that lanes are no longer subscribed here, or cannot be, because they belong to another server. They
// are queued when it is known to which.
func (t *laneIndex) moved(link *link, lanes []*lane, era *sequence.Era, history string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range lanes {
		if history != "" {
			l.history = history
			if era != nil {
				l.era = era
			}
		}
		if l.link.Load() != link {
			continue
		}
		t.setLocked(l, unsubscribed)
		t.strays[l] = struct{}{}
		l.notifyLocked()
	}
}

// reroute changes where lanes belong by calling change, which says whether it did, and has those that moved subscribed
// there. Where they were subscribed until now they are given up. Lanes that a server sent elsewhere, and belong to it by
// now, are asked for again. Without a change no other lanes are looked at: there may be hundreds of thousands.
func (t *laneIndex) reroute(change func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer clear(t.strays)
	if !change() {
		for l := range t.strays {
			if t.lanes[l.name] == l && l.state == unsubscribed && l.failed == nil {
				t.enqueueLocked(l)
			}
		}
		return
	}
	for name, l := range t.lanes {
		from, to := l.link.Load(), t.route(name)
		switch {
		case from == to && l.state == unsubscribed && l.failed == nil:
			t.enqueueLocked(l) // it was moved away, and came back
		case from != to:
			if from != nil && (l.state == subscribed || l.state == subscribing) {
				from.orphans = append(from.orphans, l)
				from.joins.signal()
			}
			l.link.Store(to)
			l.queued = false
			t.setLocked(l, unsubscribed)
			t.failLocked(l, nil)
			t.enqueueLocked(l)
		}
	}
}

// refuse records that the server refused a command for these lanes. If they were several, each is asked for once
// more by itself, to find those that are not allowed.
func (t *laneIndex) refuse(link *link, lanes []*lane, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range lanes {
		if l.link.Load() != link {
			continue
		}
		l.alone = true
		t.setLocked(l, unsubscribed)
		if len(lanes) > 1 {
			t.enqueueLocked(l)
			continue
		}
		t.failLocked(l, err)
		l.notifyLocked()
	}
}

// state is what Acquire waits for: true when the lane is confirmed or was refused, else a channel that is closed at
// the next change.
func (t *laneIndex) state(l *lane) (done bool, changed <-chan struct{}, refused error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case l.state == subscribed:
		return true, nil, nil
	case l.failed != nil:
		return true, nil, l.failed
	}
	return false, l.changedLocked(), nil
}

// count is how many lanes there are, how many of them are confirmed and how many refused.
func (t *laneIndex) count() (all, confirmed, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lanes) - t.channels, t.confirmed, t.failed
}

// setLocked changes what is known of a lane's subscription.
func (t *laneIndex) setLocked(l *lane, s subscription) {
	if l.handle == nil {
		t.confirmed += one(s == subscribed) - one(l.state == subscribed)
	}
	l.state = s
}

// failLocked records why the server refused a lane; nil: it did not.
func (t *laneIndex) failLocked(l *lane, err error) {
	if l.handle == nil {
		t.failed += one(err != nil) - one(l.failed != nil)
	}
	l.failed = err
	if err == nil {
		delete(t.refused, l)
	} else {
		t.refused[l] = struct{}{}
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
