package hub

import (
	"time"

	"github.com/rte-server/rte-server/internal/fanout"
)

// Notice is the argument of an invocation that only clients with Features.Notices receive: *SubscriptionsEnded or
// *Resync.
type Notice interface {
	// Target is the client method.
	Target() string
}

// maxNamed is how many subscriptions a notice names; whoever has more of them asks ActiveSubscriptions. It keeps the
// frame below 200 KB.
const maxNamed = 500

// SubscriptionsEnded says that the server has ended subscriptions.
type SubscriptionsEnded struct {
	// Code is why: one of those of SubscriptionResult.
	Code string `json:"code"`
	// Total is how many there were; Subscriptions names the first maxNamed of them.
	Total         int            `json:"total"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Target is the client method.
func (*SubscriptionsEnded) Target() string { return "SubscriptionsEnded" }

// Resync says that events may be missing that were published while the client listened to them, and that the server
// cannot get them any more.
type Resync struct {
	OrganizationID string `json:"organizationId"`
	// Reason is why they are missing, in a word of the backplane.
	Reason string `json:"reason"`
	// From and To are when they were published; nil: not known.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	// Total is how many subscriptions are concerned; Subscriptions names the first maxNamed of them.
	Total         int            `json:"total"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Target is the client method.
func (*Resync) Target() string { return "Resync" }

// named describes the first maxNamed of some listeners.
func (h *Hub) named(listeners []fanout.Subscription) []Subscription {
	list := make([]Subscription, min(len(listeners), maxNamed))
	for i := range list {
		list[i] = h.describe(listeners[i])
	}
	return list
}

// describe is a listener as clients see it.
func (h *Hub) describe(l fanout.Subscription) Subscription {
	topic := l.Entry.Topic()
	d := h.options.Catalog.Definition(topic.Type)
	organization := topic.Organization.String()
	return Subscription{
		ID:             l.ID.String(),
		RootEntityID:   organization,
		RootEntityType: rootEntityType,
		OrganizationID: organization,
		EventType:      d.Name,
		EntityType:     d.Kind.String(),
		EntityID:       topic.Entity.String(),
	}
}

// rootEntityType is what every subscription is rooted in.
const rootEntityType = "Organization"

// moment is a time for clients, nil if it is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
