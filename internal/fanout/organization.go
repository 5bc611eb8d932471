package fanout

import (
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// organization is the flow control of one organization. It exists while the organization has subscriptions on this
// node.
type organization struct {
	backlog backlog // deliveries under way to its subscribers
	quota   rate    // of its events, where Options.Quota is set
}

func newOrganization(events.ID) organization { return organization{backlog: newBacklog()} }

// Entry is a topic with subscriptions on this node.
type Entry = subscriptions.Entry[organization]

type (
	registry = subscriptions.Registry[organization]
	table    = subscriptions.Table[organization, *Outbox]
	// subscriber is a subscription in the table of a shard.
	subscriber = subscriptions.Subscriber[*Outbox]
	// subscribers are the subscriptions to one topic in the table of a shard.
	subscribers = subscriptions.List[*Outbox]
)
