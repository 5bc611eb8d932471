package hub

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// Rechecker decides again about subscriptions that were granted. It may be used from any goroutine.
type Rechecker interface {
	// Recheck reports for each topic, in order, whether the claims still allow a subscription to it.
	Recheck(ctx context.Context, claims *authz.Claims, topics []events.Topic) (allowed []bool)
}

// allowEverything is the Rechecker that ends no subscription.
type allowEverything struct{}

// Recheck allows every topic.
func (allowEverything) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	return slices.Repeat([]bool{true}, len(topics))
}

// rechecks are the changes that subscriptions have still to be compared with.
type rechecks struct {
	// number of the last change. A Subscribe that began before a change and ends after it knows by this that what it was
	// granted has to be looked at again: it may have come too late for the round through the sessions.
	number atomic.Uint64

	mu      sync.Mutex // guards the following fields
	all     bool
	changed map[events.ID]struct{}
	wake    chan struct{} // has one element if there is something to do; static
}

// maxChanged is how many entities are remembered one by one; with more of them everything is looked at.
const maxChanged = 10_000

// add notes a change, which must be in force already.
func (r *rechecks) add(change authz.Change) {
	r.number.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = map[events.ID]struct{}{}
	}
	for _, id := range change.Entities {
		r.changed[id] = struct{}{}
	}
	if r.all = r.all || change.All || len(r.changed) > maxChanged; r.all {
		clear(r.changed)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take takes what has changed since the last call.
func (r *rechecks) take() (all bool, changed map[events.ID]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, changed = r.all, r.changed
	r.all, r.changed = false, nil
	return all, changed
}

// Recheck makes Run look at the subscriptions that a change of the directory or the policy is about, and end those that
// are no longer allowed. The change must be in force. Recheck does not wait: changes that come while Run is at work are
// looked at together afterwards. A Subscribe that was decided before the change is looked at too.
func (h *Hub) Recheck(change authz.Change) { h.rechecks.add(change) }

// recheck looks at changes until ctx ends.
func (h *Hub) recheck(ctx context.Context) {
	for {
		select {
		case <-h.rechecks.wake:
		case <-ctx.Done():
			return
		}
		all, changed := h.rechecks.take()
		ended := 0
		for s := range h.sessions.All() {
			if ctx.Err() != nil {
				return
			}
			concerned := all
			if !all {
				_, concerned = changed[s.Claims().User]
			}
			ended += s.recheck(ctx, func(topic events.Topic) bool {
				_, is := changed[topic.Entity]
				return is || concerned
			})
		}
		h.metrics.rechecks.Inc()
		if ended > 0 {
			h.options.Logger.Info("subscriptions ended that are no longer allowed", zap.Bool("all", all),
				zap.Int("changed", len(changed)), zap.Int("ended", ended))
		}
	}
}

// recheck ends those of the subscriptions concerned that are no longer allowed.
func (s *Session) recheck(ctx context.Context, concerned func(events.Topic) bool) (ended int) {
	listeners := s.listeners(concerned)
	if len(listeners) == 0 {
		return 0
	}
	topics := make([]events.Topic, len(listeners))
	for i := range listeners {
		topics[i] = listeners[i].Entry.Topic()
	}
	claims := s.Claims()
	allowed := s.hub.options.Authorization.Rechecker.Recheck(ctx, claims, topics)
	if s.Claims() != claims {
		return 0 // they were refreshed meanwhile: all topics are looked at again
	}
	var lost []fanout.Subscription
	for i, l := range listeners {
		if !allowed[i] {
			lost = append(lost, l)
		}
	}
	return s.end(lost)
}

// end ends subscriptions, as far as they still are any. One that has taken the place of one of them, because the client
// has ended that and subscribed again, was decided later.
func (s *Session) end(listeners []fanout.Subscription) (ended int) {
	if len(listeners) == 0 {
		return 0
	}
	s.mu.Lock()
	var lost []fanout.Subscription
	for _, before := range listeners {
		if l, ok := s.active.find(before.Entry.Topic()); ok && l.ID == before.ID {
			lost = append(lost, l)
		}
	}
	removed := active(lost).entries()
	if len(removed) > 0 {
		var notice []byte
		if s.conn.Features().Notices {
			notice = s.conn.EncodeNotice(&SubscriptionsEnded{
				Code: codeUnauthorized, Total: len(lost), Subscriptions: s.hub.named(lost),
			})
		}
		s.active = s.active.without(removed)
		s.outbox.Apply(fanout.Change{Frame: notice, Remove: removed})
		s.hub.metrics.subscriptions.Sub(float64(len(removed)))
		s.hub.quota.give(s.Claims().Organization, len(removed))
		s.hub.metrics.ended.Add(float64(len(removed)))
	}
	s.mu.Unlock()
	s.hub.releaseLanes(removed)
	return len(removed)
}
