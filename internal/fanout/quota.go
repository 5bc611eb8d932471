package fanout

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/trace"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// maxHeld bounds the states that are held back of one organization. Above it, Dispatch waits for states, too.
	maxHeld = 4096
	// maxHeldTotal bounds the states of all organizations: 64 MB at 1 KB each.
	maxHeldTotal = 16 * maxHeld
	// releasePause is the shortest pause of releaseHeld: room for a single event is not worth waking up for.
	releasePause = 10 * time.Millisecond
)

// heldStates holds back the states of organizations that exceed their quota: the newest event of each state, in the
// order in which the states first came. Any goroutine may use it.
type heldStates struct {
	wake wakeup.Signal // set when releaseHeld has work
	// total falls only after an event has been sent. While it is 0, nothing that is held back can be overtaken.
	total atomic.Int64

	mu             sync.Mutex // guards the following field
	byOrganization map[*organization]*heldOrganization
}

func newHeldStates() heldStates {
	return heldStates{wake: wakeup.New(), byOrganization: map[*organization]*heldOrganization{}}
}

// heldOrganization is the part of one organization.
type heldOrganization struct {
	order  []stateKey // from next on
	next   int
	states map[stateKey]*events.Event
}

// stateKey identifies what a state event is the state of.
type stateKey struct {
	entry *Entry
	key   events.ID
}

// admit decides about an event where there is a quota. The caller is to dispatch it now; or it is held back, and so
// taken; or, without wait, neither. With wait, an event that is no state waits here for room.
func (d *Dispatcher) admit(b *broadcast, ev *events.Event, wait bool) (dispatch, taken bool) {
	organization := b.entry.Organization()
	if b.state {
		if before, ok := d.held.replace(organization, stateKey{b.entry, b.key}, ev); ok {
			d.metrics.superseded.Inc()
			d.options.Trace.Replaced(0, before, ev.ID, time.Now(), trace.Superseded)
			return false, true
		}
	}
	for first := true; !organization.quota.take(time.Since(d.started), d.perSecond()); first = false {
		switch {
		case b.state && d.held.add(organization, stateKey{b.entry, b.key}, ev):
			d.metrics.held.Inc()
			d.record(ev, time.Now(), trace.Held, 0)
			return false, true
		case !wait:
			return false, false
		case first:
			d.metrics.paced.Inc()
		}
		select {
		case <-time.After(organization.quota.delay(time.Since(d.started), d.perSecond())):
		case <-d.stopped:
			return false, true
		}
	}
	return true, true
}

// SetQuota replaces FlowOptions.Quota. States that are held back are sent as the new quota allows it. Any goroutine may
// call it.
func (d *Dispatcher) SetQuota(perSecond int) {
	d.quota.Store(int64(perSecond))
	d.held.wake.Set()
}

// perSecond returns the quota of an organization; 0: none.
func (d *Dispatcher) perSecond() int { return int(d.quota.Load()) }

// replace puts an event in the place of an older one that is held back, if there is one: it must not overtake that. It
// returns the id of the older one.
func (h *heldStates) replace(o *organization, key stateKey, ev *events.Event) (before events.ID, ok bool) {
	if h.total.Load() == 0 {
		return before, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ho := h.byOrganization[o]
	if ho == nil || ho.states[key] == nil {
		return before, false
	}
	before = ho.states[key].ID
	shared := *ev
	ho.states[key] = &shared
	return before, true
}

// add holds an event back and returns true, unless a bound is reached.
func (h *heldStates) add(o *organization, key stateKey, ev *events.Event) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ho := h.byOrganization[o]
	if ho == nil {
		ho = &heldOrganization{states: map[stateKey]*events.Event{}}
		h.byOrganization[o] = ho
	}
	if len(ho.states) >= maxHeld || h.total.Load() >= maxHeldTotal {
		return false
	}
	shared := *ev
	ho.states[key] = &shared
	ho.order = append(ho.order, key)
	h.total.Add(1)
	h.wake.Set()
	return true
}

// contains reports whether a state of this key is held back. Once it returns false, such a state, if there was one, has
// been dispatched.
func (h *heldStates) contains(o *organization, key stateKey) bool {
	if h.total.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ho := h.byOrganization[o]
	return ho != nil && ho.states[key] != nil
}

// releaseHeld dispatches the states that are held back as the quotas allow it, until ctx ends.
func (d *Dispatcher) releaseHeld(ctx context.Context) {
	timer := stoppedTimer()
	defer timer.Stop()
	for {
		select {
		case <-d.held.wake.C():
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if next := d.releaseAllowed(); next > 0 {
			timer.Reset(max(next, releasePause))
		}
	}
}

// releaseAllowed dispatches the states for which there is room now. It returns the time until there is room for more; 0
// if nothing is held back any more.
func (d *Dispatcher) releaseAllowed() (next time.Duration) {
	h, flow := &d.held, &d.options.Flow
	h.mu.Lock()
	defer h.mu.Unlock()
	now, perSecond := time.Since(d.started), d.perSecond()
	for o, ho := range h.byOrganization {
		for ho.next < len(ho.order) && !o.backlog.full(flow.Backlog) && !d.total.full(flow.totalLimit()) &&
			o.quota.take(now, perSecond) {
			d.releaseFirstLocked(ho)
		}
		if ho.next == len(ho.order) {
			delete(h.byOrganization, o)
			continue
		}
		if wait := max(o.quota.delay(now, perSecond), releasePause); next == 0 || wait < next {
			next = wait
		}
	}
	return next
}

// releaseFirstLocked dispatches the first state that is held back of an organization. It needs held.mu: a later event
// of the same state then finds the entry gone and cannot overtake it. It does not wait, because there was room just
// now.
func (d *Dispatcher) releaseFirstLocked(ho *heldOrganization) {
	key := ho.order[ho.next]
	ev := ho.states[key]
	delete(ho.states, key)
	defer d.held.total.Add(-1)
	if ho.next++; ho.next >= maxHeld {
		ho.order, ho.next = slices.Delete(ho.order, 0, ho.next), 0
	}
	mask, subscribers := key.entry.Shards()
	now := time.Now()
	if mask == 0 {
		d.metrics.unmatched.Inc()
		d.record(ev, now, trace.Unmatched, 0)
		return
	}
	b := &broadcast{id: ev.ID, entry: key.entry, state: true, key: key.key, expires: d.options.Expires(ev)}
	if b.expired(now) {
		d.metrics.expired.Inc()
		d.record(ev, now, trace.Expired, subscribers)
		return
	}
	b.cost, b.limit = costPerShard(mask, subscribers), d.options.Flow.limit(subscribers)
	d.send(b, ev, mask, subscribers, now, false)
}
