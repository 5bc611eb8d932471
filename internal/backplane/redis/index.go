package redis

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// laneIndex has the lanes of this node: their topics, and what must be requested from Redis.
type laneIndex struct {
	layout backplane.Layout
	linger time.Duration
	route  func(l *lane) *link // called with mu held; nil: the server of the lane is unknown
	gone   func(l *lane)       // called with mu held, for a lane that is given up; the lane calls drained

	mu        sync.Mutex
	lanes     map[string]*lane    // guarded by mu; by name
	loads     map[events.ID]*load // guarded by mu; by organization
	lingering map[*lane]struct{}  // guarded by mu; those whose expires is set
	strays    map[*lane]struct{}  // guarded by mu; lanes that a server sent elsewhere since the last reroute
	refused   map[*lane]struct{}  // guarded by mu; those whose failed is set

	organizations []int // guarded by mu; how many organizations each connection has; without that for isolation

	// Guarded by mu: how many channels are not lanes; how many lanes are confirmed, and refused.
	channels, confirmed, failed int
}

func newLaneIndex(
	layout backplane.Layout, linger time.Duration, connections int, route func(*lane) *link, gone func(*lane),
) *laneIndex {
	return &laneIndex{
		layout: layout, linger: linger, route: route, gone: gone,
		lanes: map[string]*lane{}, loads: map[events.ID]*load{}, lingering: map[*lane]struct{}{},
		strays: map[*lane]struct{}{}, refused: map[*lane]struct{}{}, organizations: make([]int, connections),
	}
}

// queue holds lanes that a loop of an epoch must handle.
type queue struct {
	lanes []*lane       // guarded by index.mu
	work  wakeup.Signal // set when lanes is not empty
}

func newQueue() queue { return queue{work: wakeup.New()} }

func (q *queue) addLocked(l *lane) {
	q.lanes = append(q.lanes, l)
	q.work.Set()
}

// acquire counts n topics on a lane, and adds the lane if it is new. It returns nil if the name is not that of a lane.
func (t *laneIndex) acquire(name string, n int) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[name]
	if l == nil {
		organization, ok := t.layout.Organization(name)
		if !ok {
			return nil
		}
		l = &lane{name: name, organization: organization, load: t.loadLocked(organization)}
		l.number = l.load.number
		l.link.Store(t.route(l))
		t.lanes[name] = l
	}
	l.refs += n
	l.expires = time.Time{}
	delete(t.lingering, l)
	t.failLocked(l, nil) // a new subscriber is a reason to retry
	if l.state == unsubscribed {
		t.enqueueLocked(l)
	}
	return l
}

// subscribeChannel subscribes a channel for good that is not the lane of an organization. handle takes its messages,
// one at a time. missed, if not nil, is called whenever messages may have been missed, including at each subscription.
func (t *laneIndex) subscribeChannel(name string, handle func(payload []byte), missed func()) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &lane{name: name, load: &load{}, handle: handle, missed: missed, refs: 1, located: true}
	l.link.Store(t.route(l))
	t.lanes[name] = l
	t.channels++
	t.enqueueLocked(l)
	return l
}

// find returns the lane with a name; nil if there is none.
func (t *laneIndex) find(name string) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lanes[name]
}

// release gives back n topics. The lane stays subscribed for the linger time.
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
	l.promised = time.Time{}
	if l.state != subscribed {
		t.enqueueLocked(l) // it has nothing worth keeping
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

// retry queues the lanes that the server refused.
func (t *laneIndex) retry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.refused {
		t.enqueueLocked(l)
	}
}

// enqueueLocked queues a lane at its link: for the lookup of its journal, unless that is done, or for its
// subscription.
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

// forgetLocked ends a lane. It stays in the index until its messages are handled: if it is acquired again before that,
// they come before those of the next subscription.
func (t *laneIndex) forgetLocked(l *lane) {
	l.located, l.era, l.history, l.begun = false, nil, "", false
	t.gone(l)
}

// drained removes a lane that was given up and has no messages any more.
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
		t.unloadLocked(l.organization, l.load)
	}
}

// takeLookups removes lanes from the queue of journal lookups.
func (t *laneIndex) takeLookups(link *link) []*lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(link.lookups.lanes), batchLanes)
	lanes := link.lookups.lanes[:n:n]
	link.lookups.lanes = link.lookups.lanes[n:]
	return lanes
}

// located records the result of a lookup, and queues the lanes for subscription. Lanes that the server sent elsewhere
// are looked up again after the next reroute.
func (t *laneIndex) located(link *link, lanes []*lane, found []place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, at := range found {
		l := lanes[i]
		switch {
		case l.link.Load() != link:
			continue // it belongs to another link by now, and is queued there
		case l.located:
			continue // it came back meanwhile, and was queued twice
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

// finish ends an epoch of a link: nothing is subscribed there any more. joined are the lanes that were; they keep the
// latest proof that nothing was missed until then. All lanes are queued again, except those that only linger. The map
// becomes the link's.
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
		l.notifyLocked()
		t.enqueueLocked(l)
	}
}

// batch removes from the queue the lanes of one command, at most the given number; none if there is nothing to do.
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
			// A command has one verb. A lane that was refused has its own command.
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

// join records that a lane is subscribed, and posts the action for its sequence. post is called with mu held, before
// Acquire returns: a snapshot of the caller of Acquire finds the origin of the lane.
func (t *laneIndex) join(link *link, l *lane, history string, post func(*joined)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	post(&joined{
		origin:   l.origin,
		counted:  l.counted,
		promised: l.takePromiseLocked(),
		lapse: sequence.Break{
			Era:     l.era,
			Changed: l.history != history || history == "",
			Reason:  backplane.LossOutage,
		},
	})
	if l.link.Load() != link || l.state != subscribing {
		return // it belongs, or belonged meanwhile, to another link: later requests follow
	}
	l.alone, l.begun = false, true
	t.setLocked(l, subscribed)
	t.failLocked(l, nil)
	l.notifyLocked()
	if !l.wantedLocked() {
		t.enqueueLocked(l)
	}
}

// leave records that a lane that was given up is no longer subscribed: it ends, or begins anew. A lane that belongs to
// another link by now may be subscribed there, and a lane that came back may have been requested again.
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
// are queued when that server is known.
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

// reroute changes the links of lanes by calling change, which reports whether it changed any, and subscribes the lanes
// that moved at their new link. It gives them up at the old one. It retries lanes that a server had sent elsewhere, if
// they belong to that server after all. Without a change, reroute looks at no other lanes: there may be hundreds of
// thousands.
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
	for _, l := range t.lanes {
		t.relocateLocked(l)
	}
}

// relocateLocked moves a lane to the link where it belongs.
func (t *laneIndex) relocateLocked(l *lane) {
	from, to := l.link.Load(), t.route(l)
	switch {
	case from == to && l.state == unsubscribed && l.failed == nil:
		t.enqueueLocked(l) // it was moved away and came back
	case from != to:
		if from != nil && (l.state == subscribed || l.state == subscribing) {
			from.orphans = append(from.orphans, l)
			from.joins.work.Set()
		}
		l.link.Store(to)
		l.queued = false
		t.setLocked(l, unsubscribed)
		t.failLocked(l, nil)
		t.enqueueLocked(l)
	}
}

// refuse records that the server refused a command for these lanes. If there are several, each one is requested again
// by itself, to find those that are not permitted. missed is called with mu held for a lane with subscribers.
func (t *laneIndex) refuse(link *link, lanes []*lane, err error, missed func(l *lane, from time.Time)) {
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
		if from, must := l.warnLocked(); must {
			missed(l, from)
		}
	}
}

// state is the state that Acquire waits for: done if the lane is confirmed or refused; else changed is closed at the
// next change.
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

// count returns how many lanes there are, and how many of them are confirmed and refused.
func (t *laneIndex) count() (all, confirmed, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lanes) - t.channels, t.confirmed, t.failed
}

// setLocked changes the state of a lane's subscription.
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
