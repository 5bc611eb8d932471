package hub

import (
	"context"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// The texts of refusals that the hub decides itself; the others are those of authz.
const (
	refusedLimit         = "Subscription limit reached"
	refusedNotSubscribed = "Not subscribed"
)

// subscribe decides about each request and prepares in c.added the subscriptions that are granted. They are committed
// with the answer.
func (s *Session) subscribe(c *call, requests []authz.Request) []SubscriptionResult {
	results := s.results(requests)
	decided := requests[:min(len(requests), s.hub.limits.Load().Items)]
	c.change = s.hub.rechecks.number.Load()
	decisions := s.hub.options.Authorization.Authorizer.Authorize(c.ctx, s.claimsInForce(), decided)

	wanted, topics := s.choose(c, decisions, results)
	errs := s.acquire(c, topics)
	if canceled(c.ctx) {
		return results // rolled back, and not answered
	}
	for i := range decisions {
		if wanted[i] >= 0 && errs != nil && errs[wanted[i]] != nil {
			results[i].refuse(authz.RefusedUnavailable)
		}
	}
	for i := len(decided); i < len(results); i++ {
		results[i].refuse(refusedLimit)
	}
	s.hub.metrics.count(results)
	s.keepUndecided(requests, results)
	trace := ""
	if s.conn.Features().Notices {
		trace = s.trace(c, requests, results)
		annotate(results, trace)
	}
	s.deny(requests, results, trace)
	return results
}

// choose writes into results all that is decided without the lanes: refusals, and success for everything else. It
// returns the topics that are new to the session, each once, and for each decision the index of its topic among them,
// -1 if it has none.
func (s *Session) choose(
	c *call, decisions []authz.Decision, results []SubscriptionResult,
) (wanted []int, topics []events.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted = make([]int, len(decisions))
	claims := s.Claims()
	limit := s.hub.limits.Load().subscriptions(claims)
	indices := s.hub.indices.get()
	defer s.hub.indices.put(indices)
	topics = make([]events.Topic, 0, len(decisions))
	for i := range decisions {
		d := &decisions[i]
		wanted[i] = -1
		if d.Refusal != "" {
			results[i].refuse(d.Refusal)
			continue
		}
		index, again := indices[d.Topic]
		switch {
		case again:
			wanted[i] = index
		case s.active.has(d.Topic):
		case len(s.active)+len(topics) >= limit:
			results[i].refuse(refusedLimit)
			continue
		case !s.hub.quota.take(claims.Organization):
			s.hub.metrics.overQuota.Inc()
			results[i].refuse(refusedLimit)
			continue
		default:
			c.taken++
			wanted[i] = len(topics)
			indices[d.Topic] = len(topics)
			topics = append(topics, d.Topic)
		}
		results[i].Subscribed = true
	}
	return wanted, topics
}

// acquire acquires the lanes of topics and adds those topics that succeeded to c.added. It returns nil or an error per
// topic.
func (s *Session) acquire(c *call, topics []events.Topic) []error {
	if len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, s.hub.options.Limits.Lanes)
	defer cancel()
	errs := s.hub.options.Lanes.Acquire(ctx, topics)
	c.topics = make([]events.Topic, 0, len(topics))
	c.added = make([]fanout.Subscription, 0, len(topics))
	for i, topic := range topics {
		if errs != nil && errs[i] != nil {
			s.hub.options.Logger.Debug("lane not acquired",
				zap.Stringer("organization", topic.Organization), zap.Error(errs[i]))
			continue
		}
		c.topics = append(c.topics, topic)
		c.added = append(c.added, s.outbox.Acquire(topic))
	}
	return errs
}

// unsubscribe decides about each request and collects in c.removed the subscriptions that end with the answer. It needs
// neither directory nor lanes: a client may end a subscription whatever it is still allowed to do.
func (s *Session) unsubscribe(c *call, requests []authz.Request) []SubscriptionResult {
	results := s.results(requests)
	removed := make(map[*fanout.Entry]bool, len(requests))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range requests {
		entity, ok := events.ParseID(requests[i].EntityID)
		if !ok {
			results[i].refuse(authz.RefusedEntity)
			continue
		}
		event, ok := s.hub.options.Catalog.Lookup(requests[i].EventName)
		if !ok {
			results[i].refuse(authz.RefusedEvent)
			continue
		}
		results[i].refuse(refusedNotSubscribed)
		for _, l := range s.active.named(entity, event) {
			if !removed[l.Entry] {
				removed[l.Entry] = true
				c.removed = append(c.removed, l.Entry)
				results[i].Subscribed, results[i].Message = true, nil
			}
		}
	}
	s.hub.undecided.drop(s, requests)
	if s.conn.Features().Notices {
		annotate(results, "")
	}
	return results
}

// unsubscribeAll collects all subscriptions in c.removed.
func (s *Session) unsubscribeAll(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.removed = s.active.entries()
	s.hub.undecided.take(s)
	return true
}

// activeSubscriptions lists the subscriptions by entity and event.
func (s *Session) activeSubscriptions() SubscriptionList {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SubscriptionList{s.hub, slices.Clone(s.active)}
}

// SubscriptionList is the result of ActiveSubscriptions. It describes each subscription when it is read: ten thousand
// of them take 240 KB in the list and 4 MB described.
type SubscriptionList struct {
	hub  *Hub
	list active
}

// Len returns the number of subscriptions.
func (l SubscriptionList) Len() int { return len(l.list) }

// At describes the subscription at index i: it returns a Subscription.
func (l SubscriptionList) At(i int) any { return l.hub.describe(l.list[i]) }

// all describes all subscriptions.
func (l SubscriptionList) all() []Subscription {
	all := make([]Subscription, l.Len())
	for i := range all {
		all[i] = l.hub.describe(l.list[i])
	}
	return all
}

// results returns the undecided answers to requests: with the entity id as the client sent it and the event in lower
// case.
func (s *Session) results(requests []authz.Request) []SubscriptionResult {
	results := make([]SubscriptionResult, len(requests))
	for i := range requests {
		results[i].EntityID = requests[i].EntityID
		if t, ok := s.hub.options.Catalog.Lookup(requests[i].EventName); ok {
			results[i].EventName = s.hub.options.Catalog.Definition(t).LowerName()
		} else {
			results[i].EventName = strings.ToLower(requests[i].EventName)
		}
	}
	return results
}

// unavailable reports whether the request could not be decided about.
func (r *SubscriptionResult) unavailable() bool {
	return r.Message != nil && *r.Message == authz.RefusedUnavailable
}

// refuse sets the result to a refusal with a message.
func (r *SubscriptionResult) refuse(message string) {
	r.Subscribed, r.Message = false, &message
}
