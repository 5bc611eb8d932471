package events

import "time"

// Event is one published message, read as far as routing needs it.
type Event struct {
	Topic
	// TTLSeconds is MessageTTLSeconds, or what the catalogue has for the type if the message does not say;
	// -1: the event never expires.
	TTLSeconds int
	// Timestamp is when the publisher made the event, in UTC; zero if the message does not say.
	Timestamp time.Time
	// ID is the Id of the event, by which repeated publishing is recognized; zero if the message has none.
	ID ID
	// Data is the JSON object as published, without any framing. It is shared and must not be changed.
	Data []byte
}
