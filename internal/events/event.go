package events

import "time"

// Event is one published message, read as far as routing needs it.
type Event struct {
	Topic
	// TTLSeconds is MessageTTLSeconds, or what the catalog has for the type if the message does not say;
	// negative: the event never expires.
	TTLSeconds int
	// Timestamp is when the publisher made the event, in UTC; zero if the message does not say.
	Timestamp time.Time
	// ID is the Id of the event, by which repeated publishing is recognized; zero if the message has none.
	ID ID
	// Data is the JSON object as published, without any framing. It is shared and must not be changed.
	Data []byte
}

// Expires is when the event is not worth delivering any more: TTLSeconds after Timestamp, and skew later, which
// is how far the publisher's clock may be behind ours. Zero: never, which is also so for events that do not say
// when they were made.
func (ev *Event) Expires(skew time.Duration) time.Time {
	if ev.TTLSeconds < 0 || ev.Timestamp.IsZero() {
		return time.Time{}
	}
	return ev.Timestamp.Add(time.Duration(ev.TTLSeconds)*time.Second + skew)
}

// Expired says whether the event is not worth delivering any more, see Expires. Whoever leaves it behind counts
// it as expired.
func (ev *Event) Expired(now time.Time, skew time.Duration) bool {
	at := ev.Expires(skew)
	return !at.IsZero() && now.After(at)
}
