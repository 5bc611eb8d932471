package hub

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// maxUndecided is the number of items that are kept of a session: 600 bytes. Of further items only their existence is
	// kept.
	maxUndecided = 32

	// undecidedFirst and undecidedLast are the pauses between two attempts to decide.
	undecidedFirst = time.Second
	undecidedLast  = 5 * time.Second
	// undecidedFailures is the number of organizations whose attempt may fail before the next pause.
	undecidedFailures = 8
)

// undecided has the sessions with items of Subscribe that were answered with authz.RefusedUnavailable. Run tries to
// decide about these items until it can, and then notifies the client, which may not try again by itself. The open
// sessions bound their number.
type undecided struct {
	came wakeup.Signal // static; set when a session is added

	mu       sync.Mutex
	sessions map[*Session]*undecidedItems // guarded by mu
}

// undecidedItems are the items of a session.
type undecidedItems struct {
	since   time.Time // of the first refusal
	items   []undecidedItem
	more    bool // there were more than maxUndecided
	planned bool // the client will be notified
}

// undecidedItem is an item as the directory identifies it.
type undecidedItem struct {
	entity events.ID
	event  events.Type
}

func newUndecided() undecided {
	return undecided{came: wakeup.New(), sessions: map[*Session]*undecidedItems{}}
}

// len returns the number of sessions.
func (u *undecided) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.sessions)
}

// update adds items that could not be decided about, and removes those that were.
func (u *undecided) update(s *Session, open, decided []undecidedItem) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.sessions[s]
	if n == nil {
		if len(open) == 0 {
			return
		}
		n = &undecidedItems{since: time.Now()}
		u.sessions[s] = n
		u.came.Set()
	}
	for _, item := range open {
		switch {
		case slices.Contains(n.items, item):
		case len(n.items) < maxUndecided:
			n.items = append(n.items, item)
		default:
			n.more = true
		}
	}
	for _, item := range decided {
		if i := slices.Index(n.items, item); i >= 0 {
			n.items = slices.Delete(n.items, i, i+1)
		}
	}
	if len(n.items) == 0 && !n.more {
		delete(u.sessions, s)
	}
}

// drop removes items that the client no longer wants.
func (u *undecided) drop(s *Session, requests []authz.Request) {
	if u.len() == 0 {
		return
	}
	var items []undecidedItem
	for i := range requests {
		if item, ok := s.undecidedItem(&requests[i]); ok {
			items = append(items, item)
		}
	}
	u.update(s, nil, items)
}

// take removes a session and returns since when it waits. ok is false if it does not.
func (u *undecided) take(s *Session) (since time.Time, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, ok := u.sessions[s]
	if ok {
		since = n.since
		delete(u.sessions, s)
	}
	return since, ok
}

// plan marks a session whose client will be notified.
func (u *undecided) plan(s *Session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := u.sessions[s]; n != nil {
		n.planned = true
	}
}

// waiting returns the items of the sessions that are not planned yet.
func (u *undecided) waiting() map[*Session][]undecidedItem {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting := map[*Session][]undecidedItem{}
	for s, n := range u.sessions {
		if !n.planned {
			waiting[s] = slices.Clone(n.items)
		}
	}
	return waiting
}

// undecidedItem returns the item of a request. ok is false if the request is malformed.
func (s *Session) undecidedItem(r *authz.Request) (item undecidedItem, ok bool) {
	entity, isID := events.ParseID(r.EntityID)
	event, isEvent := s.hub.options.Catalog.Lookup(r.EventName)
	return undecidedItem{entity, event}, isID && isEvent
}

// keepUndecided keeps which of the answered requests could not be decided about.
func (s *Session) keepUndecided(requests []authz.Request, results []SubscriptionResult) {
	u := &s.hub.undecided
	unavailable := false
	for i := range results {
		unavailable = unavailable || results[i].unavailable()
	}
	if !unavailable && u.len() == 0 {
		return
	}
	var open, decided []undecidedItem
	for i := range results {
		switch item, ok := s.undecidedItem(&requests[i]); {
		case !ok:
		case results[i].unavailable():
			open = append(open, item)
		default:
			decided = append(decided, item)
		}
	}
	u.update(s, open, decided)
	if s.isClosed() {
		u.take(s) // Close may have been too early to do so
	}
}

// decide tries to decide about the items of sessions until ctx ends, and plans the notification of clients for whom
// that is possible.
func (h *Hub) decide(ctx context.Context) {
	pause := undecidedFirst
	for {
		if h.undecided.len() == 0 {
			pause = undecidedFirst
			select {
			case <-ctx.Done():
				return
			case <-h.undecided.came.C():
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + h.options.Jitter(pause/4)):
		}
		if h.decideAll(ctx) {
			pause = undecidedFirst
		} else {
			pause = min(2*pause, undecidedLast)
		}
	}
}

// decideAll tries once. An organization whose attempt fails has no other until the next time. It reports whether an
// attempt succeeded.
func (h *Hub) decideAll(ctx context.Context) (any bool) {
	failed := map[events.ID]bool{}
	for s, items := range h.undecided.waiting() { // in a random order
		organization := s.Claims().Organization
		if failed[organization] {
			continue
		}
		if !s.canDecide(ctx, items) {
			failed[organization] = true
			if len(failed) == undecidedFailures || ctx.Err() != nil {
				return any
			}
			continue
		}
		any = true
		h.undecided.plan(s)
		h.losses.addUndecided(s)
	}
	return any
}

// canDecide reports whether an item that could not be decided about can be now. The session gets no subscription: its
// client may not expect events.
func (s *Session) canDecide(ctx context.Context, items []undecidedItem) bool {
	if len(items) == 0 {
		return true // the client has tried again successfully what was kept, and there was more
	}
	o := &s.hub.options
	ctx, cancel := context.WithTimeout(ctx, o.Limits.Invocation)
	defer cancel()
	requests := make([]authz.Request, len(items))
	for i, item := range items {
		requests[i] = authz.Request{EntityID: item.entity.String(), EventName: o.Catalog.Definition(item.event).Name}
	}
	var topics []events.Topic
	for _, d := range o.Authorization.Authorizer.Authorize(ctx, s.Claims(), requests) {
		switch d.Refusal {
		case "":
			topics = append(topics, d.Topic)
		case authz.RefusedUnavailable:
		default:
			return true
		}
	}
	return len(topics) > 0 && s.hub.canAcquire(ctx, topics)
}

// canAcquire reports whether the lane of one of the topics can be acquired.
func (h *Hub) canAcquire(ctx context.Context, topics []events.Topic) bool {
	ctx, cancel := context.WithTimeout(ctx, h.options.Limits.Lanes)
	defer cancel()
	errs := h.options.Lanes.Acquire(ctx, topics)
	acquired := topics
	if errs != nil {
		acquired = nil
		for i, err := range errs {
			if err == nil {
				acquired = append(acquired, topics[i])
			}
		}
	}
	h.options.Lanes.Release(acquired)
	return len(acquired) > 0
}

// reasonUnavailable is the reason of a Resync of a client whose items can be decided about again.
const reasonUnavailable = "unavailable"

// notifyUndecided notifies the client that its items can be decided about again, unless they were meanwhile.
func (s *Session) notifyUndecided() notification {
	since, ok := s.hub.undecided.take(s)
	switch {
	case !ok:
		return notNotified
	case s.conn.Features().Notices:
		from, to := clientInterval(since, time.Now())
		s.outbox.Apply(fanout.Change{Frame: s.conn.EncodeNotice(&Resync{
			OrganizationID: s.Claims().Organization.String(), Reason: reasonUnavailable,
			From: from, To: to, Subscriptions: []Subscription{},
		})})
		return notifiedByNotice
	case s.Close(CloseResync):
		return notifiedByClose
	default:
		return notNotified
	}
}
