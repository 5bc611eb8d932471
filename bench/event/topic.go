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

// Topic is what one client listens to and one event is about.
type Topic struct {
	Number       uint32
	Organization string // GUID
	Entity       string // GUID
	Kind         string // User or Queue
	Type         string // event type, as published
}

// NewTopic names topic number of an organization. The same numbers give the same GUIDs in every run.
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

// OrganizationID is the GUID of an organization of the bench.
func OrganizationID(organization int) string {
	return fmt.Sprintf("a0000000-0000-4000-8000-%012x", organization)
}

// UserID is the GUID of the user who makes connection number of an organization.
func UserID(organization, connection int) string {
	return fmt.Sprintf("c0000000-0000-4000-8000-%04x%08x", organization, connection)
}

// Channel is the name of the topic where topics are plain strings: a Centrifugo channel, a group of the stock library.
func (t Topic) Channel() string { return t.Entity + "." + strings.ToLower(t.Type) }
