package fanout

import (
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// organization is the flow control of one organization. It exists while the organization has subscriptions on this
// node.
type organization struct {
	backlog backlog // deliveries under way to its subscribers
	quota   rate    // of its events, where Options.Quota is set

	events, deliveries, bytes atomic.Int64 // for Traffic
}

// Traffic is what a node did for an organization since the organization had subscriptions there without a break.
type Traffic struct {
	Organization events.ID
	Events       int64 // dispatched to subscribers
	Deliveries   int64 // event frames given to sockets
	Bytes        int64 // that sockets took at the first attempt
}

// Traffic returns the traffic of each organization with subscriptions on this node.
func (d *Dispatcher) Traffic() (all []Traffic) {
	d.registry.Organizations(func(id events.ID, o *organization) {
		all = append(all, Traffic{id, o.events.Load(), o.deliveries.Load(), o.bytes.Load()})
	})
	return all
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
