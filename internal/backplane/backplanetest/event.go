package backplanetest

import (
	"fmt"

	"github.com/rte-server/rte-server/internal/events"
)

// userStatus is the type of all events of the tests.
var userStatus = func() events.Type {
	t, ok := events.Builtin().Lookup("UserStatus")
	if !ok {
		panic("UserStatus is not in the catalogue")
	}
	return t
}()

// Topic is the UserStatus of a user.
func Topic(organization, entity events.ID) events.Topic {
	return events.Topic{Organization: organization, Entity: entity, Type: userStatus}
}

// Event is a UserStatus event that carries a number.
type Event struct {
	events.Topic
	ID     events.ID
	Number int
	// Padding is how many bytes of text are added.
	Padding int
}

// NewEvent makes an event with an Id of its own.
func NewEvent(topic events.Topic, number int) Event {
	return Event{Topic: topic, ID: events.NewID(), Number: number}
}

// JSON is the event as publishers send it.
func (ev Event) JSON() []byte {
	return fmt.Appendf(nil, `{"Id":%q,"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%q,`+
		`"EntityType":"User","EntityId":%q,"EventType":"UserStatus","MessageTTLSeconds":60,"Number":%d,"Padding":"%*s"}`,
		ev.ID.String(), ev.Organization.String(), ev.Organization.String(), ev.Entity.String(), ev.Number, ev.Padding, "")
}
