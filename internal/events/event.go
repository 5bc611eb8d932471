package events

import (
	"errors"
	"time"
)

// Event is one published message, read as far as routing needs it.
type Event struct {
	Topic
	// TTLSeconds is MessageTTLSeconds; -1: the event never expires.
	TTLSeconds int
	// Timestamp is when the publisher made the event; zero if the message does not say.
	Timestamp time.Time
	// ID is the Id of the event, by which repeated publishing is recognized; zero if the message has none.
	ID ID
	// Data is the JSON object as published, without any framing. It is shared and must not be changed.
	Data []byte
}

// ErrMalformed is wrapped by every error of Decode and of the encoders.
var ErrMalformed = errors.New("malformed event")

// Decode reads the routing fields of a published JSON object in one pass without allocating. The event keeps
// data. The error, if any, wraps ErrMalformed and says what is wrong without quoting the payload.
func (c *Catalog) Decode(data []byte) (Event, error) {
	return Event{}, ErrMalformed
}

// AppendJSON adds the event's data to dst as JSON clients receive it: property names in camel case as .NET's
// JsonNamingPolicy.CamelCase makes them, dictionary keys, nulls, unknown properties, numbers and strings as
// they were published.
func (c *Catalog) AppendJSON(dst []byte, ev *Event) ([]byte, error) {
	return dst, ErrMalformed
}
