package history

import (
	"fmt"
	"time"
)

// Topic is what a client subscribes to. All ids are in lower case.
type Topic struct {
	Organization, Entity, Type string
}

// String returns the topic for people.
func (t Topic) String() string {
	return fmt.Sprintf("%s of %s in %s", t.Type, t.Entity, t.Organization)
}

// Plain is the tier without a journal.
const Plain = "T0"

// Event is an event of a publisher. The events of a topic have one publisher, which numbers them in its order. Times of
// a history count from its start.
type Event struct {
	ID     string
	Topic  Topic
	Number int
	// Tier is the way of the event into the server: Plain, or another one for the report.
	Tier string
	// State names the state that the event describes: a newer event of the topic with the same name replaces it where a
	// client lags. Empty: it is a step, which nothing replaces.
	State string `json:",omitempty"`
	// Begin is the moment before it was sent, End the moment after the answer, or after the publisher gave up.
	Begin, End time.Duration
	// Acknowledged reports whether the answer was good. Other events may arrive, or not.
	Acknowledged bool
}

// String returns the event for people.
func (e *Event) String() string {
	return fmt.Sprintf("event %d of %s (%s, id %s, published between %.3f s and %.3f s)",
		e.Number, e.Topic, e.Tier, e.ID, e.Begin.Seconds(), e.End.Seconds())
}

// Kind is the kind of a Record.
type Kind string

// The kinds of records of a connection.
const (
	// Subscribing: the client is about to send Subscribe.
	Subscribing Kind = "subscribing"
	// Subscribed: the answer of Subscribe granted the topics.
	Subscribed Kind = "subscribed"
	// Unsubscribing: the client is about to send Unsubscribe.
	Unsubscribing Kind = "unsubscribing"
	// Unsubscribed: the answer of Unsubscribe has arrived.
	Unsubscribed Kind = "unsubscribed"
	// Received: an event has arrived.
	Received Kind = "received"
	// Lost: a notice of lost events has arrived.
	Lost Kind = "lost"
	// Ended: the server has notified the client that it ended the subscriptions, or its list of subscriptions has shown
	// it.
	Ended Kind = "ended"
	// Closed: the connection has ended. No record follows.
	Closed Kind = "closed"
)

// Record is one thing that a client noticed on a connection.
type Record struct {
	At   time.Duration
	Kind Kind
	// Topics are those of a subscription, of its end, or of lost events. A received event has one.
	Topics []Topic `json:",omitempty"`
	// ID and Number are those of a received event.
	ID     string `json:",omitempty"`
	Number int    `json:",omitempty"`
	// From and To bound the interval of lost events; nil: unknown.
	From, To *time.Duration `json:",omitempty"`
	// All reports that the notice names only some of the topics.
	All bool `json:",omitempty"`
	// Reason is the cause of a loss or of an end, for people.
	Reason string `json:",omitempty"`
}

// Right is the right of a client to receive a topic.
type Right struct {
	Topic Topic
	// Until is the moment at which its end was requested, Gone the moment at which the end was in force; 0: never.
	Until, Gone time.Duration
}

// Client is a client over all its connections.
type Client struct {
	Name string
	// Notices reports whether it asked for notices of lost events.
	Notices bool
	// Snapshot reports whether it asked for last states.
	Snapshot bool
	// Wire reports whether its records have the order of the wire. Without it, an event may be recorded before the answer
	// of Subscribe that it follows.
	Wire   bool
	Rights []Right
}

// Connection is one connection of a client.
type Connection struct {
	Client string
	Number int // of the client, from 1
	// Expires is the moment at which its token expires, and the server has to end it; 0: never.
	Expires time.Duration
	Records []Record
}

// State is the last state of a topic as a new client got it.
type State struct {
	Topic Topic
	// Requested is the moment before the client subscribed.
	Requested time.Duration
	// Number is that of the event; -1: none came.
	Number int
}

// Phase is a part of the time. It ends with the next one.
type Phase struct {
	Name string
	From time.Duration
	// Calm: nothing goes wrong. An event may only be missing at the end of a subscription, behind all that arrived.
	Calm bool
}

// Limits are what the promise says in times.
type Limits struct {
	// Reload is how long before the end of a connection an event may be missing: the longest time after which the server
	// repairs, or notifies, or a client notices that its connection is dead.
	Reload time.Duration
	// Force is how long a connection may last beyond its token, and events may still come after the end of a right is in
	// force.
	Force time.Duration
}

// History is what publishers and clients recorded.
type History struct {
	Limits      Limits
	Phases      []Phase
	Clients     []Client
	Events      []*Event
	Connections []*Connection
	States      []State
	// End is the moment of the last look. Connections without a Closed are open.
	End time.Duration
}
