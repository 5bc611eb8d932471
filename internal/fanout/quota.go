package fanout

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

const (
	// maxHeld is how many states of an organization are held back; past that, Dispatch waits for states too.
	maxHeld = 4096
	// maxHeldTotal is how many of all organizations are: at 1 KB each 64 MB.
	maxHeldTotal = 16 * maxHeld
	// releasePause is how long release rests at least: room for a single event is not worth waking up for.
	releasePause = 10 * time.Millisecond
)

// held are the states of organizations that are over their quota: the newest of each, in the order in which they came.
type held struct {
	wake  chan struct{} // has a token when release has something to do
	total atomic.Int64  // falls when an event is on its way, so that nothing overtakes it where it is 0

	mu     sync.Mutex // guards the following fields
	owners map[*subscriptions.Owner]*heldStates
}

// heldStates are those of one organization.
type heldStates struct {
	order  []stateKey // from next on
	next   int
	states map[stateKey]*events.Event
}

// stateKey names what a state event is the state of.
type stateKey struct {
	entry *subscriptions.Entry
	key   events.ID
}

// meter decides about an event where there is a quota: it is dispatched now, or held back and taken by that, or, if it
// may not wait, neither. An event that is no state waits here for room.
func (d *Dispatcher) meter(b *broadcast, ev *events.Event, wait bool) (dispatch, taken bool) {
	owner := b.entry.Owner()
	if b.state && d.held.replace(owner, stateKey{b.entry, b.key}, ev) {
		d.metrics.superseded.Inc()
		return false, true
	}
	for first := true; !owner.Events.Take(time.Since(d.started), d.options.Quota); first = false {
		switch {
		case b.state && d.held.add(owner, stateKey{b.entry, b.key}, ev):
			d.metrics.held.Inc()
			return false, true
		case !wait:
			return false, false
		case first:
			d.metrics.paced.Inc()
		}
		select {
		case <-time.After(owner.Events.Free(time.Since(d.started), d.options.Quota)):
		case <-d.stopped:
			return false, true
		}
	}
	return true, true
}

// replace puts an event in the place of an older one that is held back, if there is one: what is behind it must not
// overtake it.
func (h *held) replace(owner *subscriptions.Owner, key stateKey, ev *events.Event) bool {
	if h.total.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	hs := h.owners[owner]
	if hs == nil || hs.states[key] == nil {
		return false
	}
	shared := *ev
	hs.states[key] = &shared
	return true
}

// add holds an event back, unless too many are.
func (h *held) add(owner *subscriptions.Owner, key stateKey, ev *events.Event) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	hs := h.owners[owner]
	if hs == nil {
		hs = &heldStates{states: map[stateKey]*events.Event{}}
		h.owners[owner] = hs
	}
	if len(hs.states) >= maxHeld || h.total.Load() >= maxHeldTotal {
		return false
	}
	shared := *ev
	hs.states[key] = &shared
	hs.order = append(hs.order, key)
	h.total.Add(1)
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return true
}

// release dispatches what is held back as the quotas allow it, until ctx ends.
func (d *Dispatcher) release(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.held.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if next := d.releaseSome(); next > 0 {
			timer.Reset(max(next, releasePause))
		}
	}
}

// releaseSome dispatches what there is room for, and says when there will be room for more; 0: nothing is held back.
func (d *Dispatcher) releaseSome() (next time.Duration) {
	h := &d.held
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Since(d.started)
	for owner, hs := range h.owners {
		for hs.next < len(hs.order) && !owner.Backlog.Full(d.options.Backlog) &&
			!d.total.Full(d.options.backlogTotal()) && owner.Events.Take(now, d.options.Quota) {
			d.releaseFirst(hs)
		}
		if hs.next == len(hs.order) {
			delete(h.owners, owner)
			continue
		}
		if wait := max(owner.Events.Free(now, d.options.Quota), releasePause); next == 0 || wait < next {
			next = wait
		}
	}
	return next
}

// releaseFirst dispatches the first event that is held back of an organization. It has to happen under the lock: what
// comes behind it then finds it gone and cannot overtake it. It does not wait: there was room just now.
func (d *Dispatcher) releaseFirst(hs *heldStates) {
	key := hs.order[hs.next]
	ev := hs.states[key]
	delete(hs.states, key)
	defer d.held.total.Add(-1)
	if hs.next++; hs.next >= maxHeld {
		hs.order, hs.next = slices.Delete(hs.order, 0, hs.next), 0
	}
	mask, listeners := key.entry.Shards()
	if mask == 0 {
		d.metrics.unheard.Inc()
		return
	}
	b := &broadcast{entry: key.entry, state: true, key: key.key, expires: d.options.Expires(ev)}
	if b.expired(time.Now()) {
		d.metrics.expired.Inc()
		return
	}
	b.cost, b.limit = costOf(mask, listeners), d.options.backlogOf(listeners)
	d.send(b, ev, mask, false)
}
