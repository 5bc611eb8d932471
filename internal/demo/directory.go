package demo

import (
	"context"
	"slices"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/simulator"
)

// Directory is the authz.Directory of one simulated organization.
type Directory struct {
	organization events.ID
	entities     map[events.ID]entity
}

// entity is the directory's record of an id.
type entity struct {
	kind    events.Kind
	members []events.ID
}

var _ authz.Directory = (*Directory)(nil)

// NewDirectory returns the directory of an organization. Agents are members of the queues that they serve and of the
// call lists of these queues.
func NewDirectory(o *simulator.Organization) *Directory {
	d := &Directory{organization: o.ID, entities: map[events.ID]entity{}}
	agentsOf := func(queue events.ID) (agents []events.ID) {
		for i := range o.Users {
			if slices.Contains(o.Users[i].Queues, queue) {
				agents = append(agents, o.Users[i].ID)
			}
		}
		return agents
	}
	for i := range o.Users {
		d.entities[o.Users[i].ID] = entity{kind: events.KindUser}
	}
	for _, q := range o.Queues {
		d.entities[q.ID] = entity{events.KindQueue, agentsOf(q.ID)}
	}
	for _, l := range o.CallLists {
		d.entities[l.ID] = entity{events.KindCallList, agentsOf(l.Queue)}
	}
	return d
}

// Lookup describes the entities of ids, in order.
func (d *Directory) Lookup(_ context.Context, caller directory.Caller, ids []events.ID, entities []directory.Entity) {
	for i, id := range ids {
		e, known := d.entities[id]
		if !known {
			entities[i] = directory.Entity{}
			continue
		}
		entities[i] = directory.Entity{
			State: directory.StateKnown, Kind: e.kind, Organization: d.organization, Member: slices.Contains(
				e.members, caller.User,
			),
		}
	}
}

// Invalidate does nothing: the directory does not change.
func (*Directory) Invalidate(authz.Change) {}
