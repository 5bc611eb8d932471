package events

import (
	"fmt"
	"time"
)

// Event is one published message with its routing fields.
type Event struct {
	Topic
	// Tier is how the event came to this node. Decode leaves it at TierRepair.
	Tier Tier
	// TTLSeconds is MessageTTLSeconds, or the value of the catalog if the message has none. If it is negative, the event
	// never expires.
	TTLSeconds int
	// Timestamp is the time in UTC at which the publisher made the event; zero if the message has none.
	Timestamp time.Time
	// Arrived is when the event came to this node; zero: not known. Decode leaves it.
	Arrived time.Time
	// ID is the Id of the event, which identifies repeated publishing; zero if the message has none.
	ID ID
	// Data is the JSON object as published, without framing. It is shared: do not change it.
	Data []byte
}

// Expires returns the time after which the event is not worth delivering: Timestamp plus TTLSeconds plus skew. skew is
// how far the publisher's clock may be behind ours. It returns the zero time if the event never expires. Events without
// a Timestamp never expire.
func (ev *Event) Expires(skew time.Duration) time.Time {
	if ev.TTLSeconds < 0 || ev.Timestamp.IsZero() {
		return time.Time{}
	}
	return ev.Timestamp.Add(time.Duration(ev.TTLSeconds)*time.Second + skew)
}

// DescribeExpiry explains to a publisher why an event has expired at the time now.
func (ev *Event) DescribeExpiry(now time.Time) string {
	return fmt.Sprintf("Timestamp is %s, %s before now, and MessageTTLSeconds is %d; a Timestamp without a zone is UTC",
		ev.Timestamp.Format(time.RFC3339), now.Sub(ev.Timestamp).Round(time.Second), ev.TTLSeconds)
}

// Expired reports whether the event is not worth delivering at the time now, see Expires. Callers that drop the event
// for this reason must count it as expired.
func (ev *Event) Expired(now time.Time, skew time.Duration) bool {
	at := ev.Expires(skew)
	return !at.IsZero() && now.After(at)
}
