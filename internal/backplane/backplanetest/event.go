package backplanetest

import (
	"fmt"

	"github.com/rte-server/rte-server/internal/events"
)

// Topic returns the topic of the UserStatus of a user.
func Topic(organization, entity events.ID) events.Topic {
	return events.Topic{Organization: organization, Entity: entity, Type: events.UserStatus}
}

// Event is an event that carries a number.
type Event struct {
	events.Topic
	ID         events.ID
	Number     int
	TTLSeconds int
	// CallBack identifies the callback of a CallbackChanged.
	CallBack events.ID
	// Padding is the number of bytes of text to add.
	Padding int
}

// NewEvent returns an event with a new Id that expires in a minute.
func NewEvent(topic events.Topic, number int) Event {
	return Event{Topic: topic, ID: events.NewID(), Number: number, TTLSeconds: 60}
}

// JSON returns the event as publishers send it.
func (ev Event) JSON() []byte {
	d := events.Builtin().Definition(ev.Type)
	return fmt.Appendf(nil, `{"Id":%q,"RootEntityType":"Organization","RootEntityId":%q,"OrganizationId":%q,`+
		`"EntityType":%q,"EntityId":%q,"EventType":%q,"MessageTTLSeconds":%d,"CallBackId":%q,"Number":%d,`+
		`"Padding":"%*s"}`,
		ev.ID.String(), ev.Organization.String(), ev.Organization.String(), d.Kind.String(), ev.Entity.String(), d.Name,
		ev.TTLSeconds, ev.CallBack.String(), ev.Number, ev.Padding, "")
}
