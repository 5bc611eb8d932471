package hub

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/wakeup"
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

// rechecks collects changes of the directory and the policy that subscriptions have not been compared with.
type rechecks struct {
	// number counts changes. A Subscribe that began before a change and ended after it sees another number and rechecks
	// what it granted: its subscriptions may have come too late for the round through the sessions.
	number atomic.Uint64

	came wakeup.Signal // static; set when there is a change

	mu      sync.Mutex // guards the following fields
	all     bool
	changed map[events.ID]struct{}
}

func newRechecks() rechecks { return rechecks{came: wakeup.New()} }

// maxChanged is the number of entities that are kept one by one; with more of them every subscription is rechecked.
const maxChanged = 10_000

// add adds a change, which must be in force already.
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
	r.came.Set()
}

// take returns and clears the pending changes.
func (r *rechecks) take() (all bool, changed map[events.ID]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, changed = r.all, r.changed
	r.all, r.changed = false, nil
	return all, changed
}

// Recheck makes Run recheck the subscriptions that a change of the directory or the policy concerns, and end those that
// are no longer allowed. The change must be in force. Recheck does not wait: Run takes changes that come while it works
// together afterwards. A Subscribe that was decided before the change is rechecked too.
func (h *Hub) Recheck(change authz.Change) { h.rechecks.add(change) }

// recheck rechecks subscriptions after changes until ctx ends.
func (h *Hub) recheck(ctx context.Context) {
	for {
		select {
		case <-h.rechecks.came.C():
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

// recheck ends the concerned subscriptions that are no longer allowed and returns their number.
func (s *Session) recheck(ctx context.Context, concerned func(events.Topic) bool) (ended int) {
	list := s.matching(concerned)
	if len(list) == 0 {
		return 0
	}
	topics := make([]events.Topic, len(list))
	for i := range list {
		topics[i] = list[i].Entry.Topic()
	}
	claims := s.claimsInForce()
	allowed := s.hub.options.Authorization.Rechecker.Recheck(ctx, claims, topics)
	if s.claimsInForce() != claims {
		return 0 // a refresh has replaced them meanwhile: it rechecks all topics
	}
	var forbidden []fanout.Subscription
	for i, l := range list {
		if !allowed[i] {
			forbidden = append(forbidden, l)
		}
	}
	return s.end(forbidden)
}

// end ends those of the subscriptions that the session still has, and returns their number. If the client has ended one
// of them and subscribed again, the new subscription stays: it was decided later.
func (s *Session) end(forbidden []fanout.Subscription) (ended int) {
	if len(forbidden) == 0 {
		return 0
	}
	s.mu.Lock()
	var list active
	for _, before := range forbidden {
		if l, ok := s.active.find(before.Entry.Topic()); ok && l.ID == before.ID {
			list = append(list, l)
		}
	}
	removed := list.entries()
	if len(removed) > 0 {
		var notice []byte
		if s.conn.Features().Notices {
			notice = s.conn.EncodeNotice(&SubscriptionsEnded{
				Code: codeUnauthorized, Total: len(list), Subscriptions: s.hub.describeFirst(list),
			})
		}
		s.hub.history.ended(s, removed, time.Now(), endedByPolicy)
		s.setActiveLocked(s.active.without(removed))
		s.hub.quota.release(s.Claims().Organization, len(removed)) // before the notice
		s.outbox.Apply(fanout.Change{Frame: notice, Remove: removed})
		s.hub.metrics.subscriptions.Sub(float64(len(removed)))
		s.hub.metrics.ended.Add(float64(len(removed)))
	}
	s.mu.Unlock()
	s.hub.releaseLanes(removed)
	return len(removed)
}
