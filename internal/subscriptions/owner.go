package subscriptions

import (
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// Owner is an organization as long as somebody on this node listens to a topic of it. All its entries share it.
type Owner struct {
	// Backlog is the work that waits for the organization's listeners.
	Backlog Backlog
	// Events counts those that were dispatched to them against a quota.
	Events Rate

	id   events.ID
	refs int // guarded by owners.mu
}

// ID is the organization.
func (o *Owner) ID() events.ID { return o.id }

// owners are the organizations of a registry's entries.
type owners struct {
	mu   sync.Mutex // guards the following fields and Owner.refs
	byID map[events.ID]*Owner
}

func (o *owners) acquire(id events.ID) *Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner := o.byID[id]
	if owner == nil {
		owner = &Owner{id: id, Backlog: NewBacklog()}
		o.byID[id] = owner
	}
	owner.refs++
	return owner
}

func (o *owners) release(owner *Owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner.refs--
	if owner.refs == 0 {
		delete(o.byID, owner.id)
	}
}
