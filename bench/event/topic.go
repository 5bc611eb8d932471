package event

import (
	"fmt"
	"strings"
)

// Kinds of entities, as published in EntityType.
const (
	User  = "User"
	Queue = "Queue"
)

// Topic is a topic that clients subscribe to.
type Topic struct {
	Number       uint32
	Organization string // GUID
	Entity       string // GUID
	Kind         string // User or Queue
	Type         string // event type, as published
}

// NewTopic returns the topic with a number. The same numbers give the same GUIDs in every run.
func NewTopic(organization int, number uint32, eventType string) Topic {
	kind := User
	if strings.HasPrefix(eventType, Queue) {
		kind = Queue
	}
	return Topic{
		Number:       number,
		Organization: OrganizationID(organization),
		Entity:       fmt.Sprintf("e0000000-0000-4000-8000-%012x", number),
		Kind:         kind,
		Type:         eventType,
	}
}

// OrganizationID returns the GUID of an organization of the bench.
func OrganizationID(organization int) string {
	return fmt.Sprintf("a0000000-0000-4000-8000-%012x", organization)
}

// UserID returns the GUID of the user of a connection.
func UserID(organization, connection int) string {
	return fmt.Sprintf("c0000000-0000-4000-8000-%04x%08x", organization, connection)
}

// Channel returns the topic as a string: a Centrifugo channel, or a group of the stock SignalR library.
func (t Topic) Channel() string { return t.Entity + "." + strings.ToLower(t.Type) }
