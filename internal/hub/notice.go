package hub

import "github.com/rte-server/rte-server/internal/fanout"

// Notice is the argument of an invocation that only clients with Features.Notices receive: *SubscriptionsEnded.
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

// named describes the first maxNamed of some listeners.
func (h *Hub) named(listeners []fanout.Listener) []Subscription {
	list := make([]Subscription, min(len(listeners), maxNamed))
	for i := range list {
		list[i] = h.describe(listeners[i])
	}
	return list
}

// describe is a listener as clients see it.
func (h *Hub) describe(l fanout.Listener) Subscription {
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
