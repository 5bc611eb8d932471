package authz

import (
	"context"

	"github.com/rte-server/rte-server/internal/events"
)

// State says how much a Directory knows of an id.
type State uint8

// The states of an Entity.
const (
	StateUnknown     State = iota // there is no such entity
	StateKnown                    // the other fields of the Entity say what it is
	StateUnavailable              // the directory cannot be asked just now
)

// Entity is what a Directory knows of an id, seen by one caller. The zero value is an unknown entity.
type Entity struct {
	State State
	// Kind is KindUnknown for a directory that takes an entity for whatever the event is about.
	Kind         events.Kind
	Organization events.ID
	// Member says that the caller belongs to the entity: is an agent of the queue, works on the call list.
	Member bool
}

// Directory knows whose entities are, of what kind, and who belongs to them. It may be used from any goroutine.
type Directory interface {
	// Lookup describes the entities of ids, in order, in entities, which has the length of ids. However many ids there
	// are, it asks whatever is behind it once. For a caller, an entity of an organization that is not the caller's and
	// one that does not exist take the same time.
	Lookup(ctx context.Context, caller *Claims, ids []events.ID, entities []Entity)
}

// ClaimsDirectory trusts the token: every entity is taken for one of the caller's own organization, of the kind that
// the event is about, and the caller for a member of it. The organization in the topic is what keeps organizations
// apart: events of a foreign entity carry another one and never arrive. Further organizations of a caller are out of
// its reach: it cannot tell what is theirs.
type ClaimsDirectory struct{}

var _ Directory = ClaimsDirectory{}

// Lookup implements Directory.
func (ClaimsDirectory) Lookup(_ context.Context, caller *Claims, ids []events.ID, entities []Entity) {
	for i := range ids {
		entities[i] = Entity{State: StateKnown, Organization: caller.Organization, Member: true}
	}
}
