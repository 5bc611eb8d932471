package redis

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
)

// table has the lanes of this node: who counts on them, and what must be asked of Redis.
type table struct {
	linger time.Duration

	mu        sync.Mutex
	lanes     map[string]*lane   // guarded by mu; by name
	lingering map[*lane]struct{} // guarded by mu; those whose expires is set
	queue     []*lane            // guarded by mu; lanes whose subscription may differ from what is wanted
	work      chan struct{}      // has room for one; filled when the queue is
}

func newTable(linger time.Duration) *table {
	return &table{
		linger:    linger,
		lanes:     map[string]*lane{},
		lingering: map[*lane]struct{}{},
		work:      make(chan struct{}, 1),
	}
}

// wantedLocked says that the lane shall be subscribed.
func (l *lane) wantedLocked() bool { return l.refs > 0 || !l.expires.IsZero() }

// acquire counts n topics on the lane of that name, which begins if it is new; nil if the name is no lane.
func (t *table) acquire(name string, n int) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[name]
	if l == nil {
		organization, ok := backplane.LaneOrganization(name)
		if !ok {
			return nil
		}
		l = &lane{name: name, organization: organization}
		t.lanes[name] = l
	}
	l.refs += n
	l.expires = time.Time{}
	delete(t.lingering, l)
	l.failed = nil // a new listener is a reason to ask again
	if l.state == unsubscribed {
		t.enqueueLocked(l)
	}
	return l
}

// release takes n topics back. The lane stays for the linger time.
func (t *table) release(name string, n int) {
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
func (t *table) expire(now time.Time) {
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
func (t *table) retry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if l.failed != nil {
			t.enqueueLocked(l)
		}
	}
}

func (t *table) enqueueLocked(l *lane) {
	if l.queued {
		return
	}
	l.queued = true
	t.queue = append(t.queue, l)
	select {
	case t.work <- struct{}{}:
	default:
	}
}

// reset queues every lane for the next epoch, in which nothing is subscribed yet. Lanes that only linger are not
// worth asking for again.
func (t *table) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = make([]*lane, 0, len(t.lanes))
	clear(t.lingering)
	for _, l := range t.lanes {
		l.queued, l.state, l.expires = false, unsubscribed, time.Time{}
		t.enqueueLocked(l)
	}
}

// batch takes from the queue what one command can ask for: the lanes to subscribe or, if there are none among the
// first ones, the lanes to give up. Both nil: nothing is to be done.
func (t *table) batch() (join, leave []*lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 && len(join) < batchLanes && len(leave) < batchLanes {
		l := t.queue[0]
		var list *[]*lane
		next := l.state
		switch wanted := l.wantedLocked(); {
		case wanted && l.state == unsubscribed:
			list, next = &join, subscribing
		case !wanted && l.state == subscribed:
			list, next = &leave, unsubscribing
		case !wanted && l.state == unsubscribed:
			delete(t.lanes, l.name)
		}
		if list != nil {
			// One command has one kind; a lane that was refused has a command of its own.
			if len(join)+len(leave) > 0 && (len(*list) == 0 || l.alone || (*list)[0].alone) {
				return join, leave
			}
			*list = append(*list, l)
		}
		l.state, l.queued = next, false
		t.queue = t.queue[1:]
	}
	return join, leave
}

// confirm records what the server answered for a lane, and asks again if that is not what is wanted by now.
func (t *table) confirm(l *lane, state subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.state = state
	if state == subscribed {
		l.failed, l.alone = nil, false
	}
	l.notifyLocked()
	if l.wantedLocked() != (state == subscribed) {
		t.enqueueLocked(l)
	} else if state == unsubscribed {
		delete(t.lanes, l.name)
	}
}

// refuse records that the server refused a command for these lanes. If they were several, each is asked for once
// more by itself, to find those that are not allowed.
func (t *table) refuse(lanes []*lane, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range lanes {
		l.state, l.alone = unsubscribed, true
		if len(lanes) > 1 {
			t.enqueueLocked(l)
			continue
		}
		l.failed = err
		l.notifyLocked()
	}
}

// state is what Acquire waits for: nil and true when the lane is confirmed, an error if it was refused, else a
// channel that is closed at the next change.
func (t *table) state(l *lane) (done bool, err error, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case l.state == subscribed:
		return true, nil, nil
	case l.failed != nil:
		return true, l.failed, nil
	}
	return false, nil, l.changedLocked()
}

// count is how many lanes there are, how many of them are confirmed and how many refused.
func (t *table) count() (all, confirmed, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if l.state == subscribed {
			confirmed++
		}
		if l.failed != nil {
			failed++
		}
	}
	return len(t.lanes), confirmed, failed
}
