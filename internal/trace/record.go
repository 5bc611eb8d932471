package trace

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Record is what a node did with an event as a whole. It takes 72 bytes.
type Record struct {
	ID      events.ID // zero: the event has none
	Topic   Topic
	at      int64 // in microseconds since 1970
	made    int64 // Timestamp of the event in the same way; 0: none, or not read
	Count   uint32
	Tier    events.Tier
	Outcome Outcome
	Reason  uint8 // of Refused: the index of the reason in Options.Reasons
}

// Topic is the topic of a record.
type Topic struct {
	Organization, Entity events.ID
	Type                 events.Type
}

// At returns when the node decided.
func (r *Record) At() time.Time { return time.UnixMicro(r.at) }

// Made returns the Timestamp of the event; zero: not known.
func (r *Record) Made() time.Time {
	if r.made == 0 {
		return time.Time{}
	}
	return time.UnixMicro(r.made)
}

// Outcome is what a node did with an event as a whole.
type Outcome uint8

// The outcomes of an event.
const (
	// Matched: the node gave it to its subscribers. Count is their number.
	Matched Outcome = iota
	// Unmatched: the node had no subscriber of its topic.
	Unmatched
	// Expired: its MessageTTLSeconds had ended when it came.
	Expired
	// Held: its organization was above its quota; the event waits, or a newer state replaces it.
	Held
	// Malformed: it has subscribers but could not be encoded.
	Malformed
	// Refused: the message is no event of the organization of its lane. Count is its size in bytes.
	Refused
	numOutcomes
)

// String returns the name of the outcome, for operators.
func (o Outcome) String() string {
	return [numOutcomes]string{"matched", "no_subscribers", "expired", "held", "malformed", "refused"}[o]
}

// Aside is something other than "sent" that happened to an event on its way to one subscriber. It takes 56 bytes.
type Aside struct {
	Event  events.ID // zero: not known, as the frames were already merged into a write; Count is how many
	By     events.ID // of Conflated and Superseded: the newer event
	at     int64     // in microseconds since 1970
	Outbox uint32    // number of the outbox; 0: all subscribers of this node
	Count  uint32
	What   What
}

// At returns when it happened.
func (a *Aside) At() time.Time { return time.UnixMicro(a.at) }

// What names an outcome other than "sent" of an event on its way to one subscriber.
type What uint8

// The outcomes. The first ones, up to Failed, are the drop reasons of package fanout in the same order.
const (
	// Conflated: a newer state replaced it while the socket was full.
	Conflated What = iota
	// ExpiredWaiting: its MessageTTLSeconds ended while the socket was full.
	ExpiredWaiting
	// Slow: it waited for a socket that was closed as slow.
	Slow
	// Closed: it waited for a socket when the session ended.
	Closed
	// Failed: the socket failed before it took the event.
	Failed
	// Superseded: a newer state replaced it while it was held back by the quota of its organization.
	Superseded
	// EndedSlow, EndedSilent and EndedFailed: the node ended the outbox. It receives nothing later.
	EndedSlow
	EndedSilent
	EndedFailed
	numWhats
)

// String returns the name of the aside, for operators.
func (w What) String() string {
	return [numWhats]string{
		"conflated", "expired", "slow", "closed", "failed", "superseded", "ended_slow", "ended_silent", "ended_failed",
	}[w]
}

// Ends reports whether the aside is the end of an outbox.
func (w What) Ends() bool { return w >= EndedSlow }
