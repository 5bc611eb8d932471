package hub

import (
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
)

// Notice is the argument of an invocation that only clients with Features.Notices receive: *SubscriptionsEnded,
// *Resync or *Closing.
type Notice interface {
	// Target returns the name of the client method.
	Target() string
}

// maxDescribed is the number of subscriptions that a notice lists. A client with more of them calls
// ActiveSubscriptions. This bound keeps the frame below 200 KB.
const maxDescribed = 500

// SubscriptionsEnded notifies a client that the server has ended subscriptions.
type SubscriptionsEnded struct {
	// Code is the reason: one of the codes of SubscriptionResult.
	Code string `json:"code"`
	// Total is the number of subscriptions; Subscriptions lists the first maxDescribed of them.
	Total         int            `json:"total"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Target returns the name of the client method.
func (*SubscriptionsEnded) Target() string { return "SubscriptionsEnded" }

// Resync notifies a client that events of its subscriptions may be missing, and that the server cannot get them back.
type Resync struct {
	OrganizationID string `json:"organizationId"`
	// Reason is the cause, in a word of the backplane.
	Reason string `json:"reason"`
	// From and To bound when the events were published; nil: not known.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	// Total is the number of concerned subscriptions; Subscriptions lists the first maxDescribed of them.
	Total         int            `json:"total"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Target returns the name of the client method.
func (*Resync) Target() string { return "Resync" }

// Closing notifies a client that the server is about to close its connection and that it may connect again. A client
// can open the next connection first, and so miss nothing.
type Closing struct {
	// Reason is "drain" or "shed": the node stops, or has more connections than others.
	Reason string `json:"reason"`
	// At is the time at which the server closes the connection.
	At *time.Time `json:"at"`
}

// Target returns the name of the client method.
func (*Closing) Target() string { return "Closing" }

// ClientLimits states the limits of a connection to a client with Features.Limits. It is the first message of the
// session.
type ClientLimits struct {
	// Items is the number of items of one Subscribe; further ones are refused.
	Items int `json:"items"`
	// Subscriptions is the number of subscriptions of the connection, which depends on the role.
	Subscriptions int `json:"subscriptions"`
	// MessageBytes is the size of the largest message of the client; a longer one ends the connection.
	MessageBytes int `json:"messageBytes"`
	// CallsPerSecond is the rate above which the server reads more slowly; 0: no limit.
	CallsPerSecond int `json:"callsPerSecond"`
}

// Target returns the name of the client method.
func (*ClientLimits) Target() string { return "Limits" }

// limitsFor returns the limits of a connection with claims.
func (h *Hub) limitsFor(claims *authz.Claims) *ClientLimits {
	l := h.limits.Load()
	return &ClientLimits{
		Items: l.Items, Subscriptions: l.subscriptions(claims), MessageBytes: l.MessageBytes, CallsPerSecond: l.CallRate,
	}
}

// describeFirst describes the first maxDescribed subscriptions of a list.
func (h *Hub) describeFirst(all []fanout.Subscription) []Subscription {
	list := make([]Subscription, min(len(all), maxDescribed))
	for i := range list {
		list[i] = h.describe(all[i])
	}
	return list
}

// describe returns a subscription as clients see it.
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

// rootEntityType is the type of the root entity of every subscription.
const rootEntityType = "Organization"

// clientTime returns a time for clients, nil if it is not known.
func clientTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// clientInterval returns the bounds of an interval for clients; nil: not known. Clients compare them with times by the
// wall clock. If that clock was set meanwhile, the interval has its times by the clock before and after.
func clientInterval(from, to time.Time) (*time.Time, *time.Time) {
	if !from.IsZero() && !to.IsZero() {
		from, to = widen(from, to, to.Sub(from))
	}
	return clientTime(from), clientTime(to)
}

// widen returns the bounds of an interval by the wall clock, as it was at its beginning and as it was at its end. span
// is its true length.
func widen(from, to time.Time, span time.Duration) (first, last time.Time) {
	first, last = from.Round(0), to.Round(0)
	early, late := last.Add(-span), first.Add(span)
	if early.Before(first) {
		first = early
	}
	if late.After(last) {
		last = late
	}
	return first, last
}
