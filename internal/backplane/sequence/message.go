package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Message is a message of a lane, live or from its journal.
type Message struct {
	// Position is the position of a journaled event. Live messages without a frame have none. Entries of the journal
	// always have an ID; N is 0 if their publisher does not count.
	backplane.Position
	// Event is the decoded event. Its Data is nil if the message is not an event; the message still has its place.
	Event events.Event
	// Era is the latest era when a live message arrived; nil: none.
	Era *Era
	// Shared reports whether Data lies in a larger buffer. The lane copies it before keeping it.
	Shared bool
	// Skimmed reports whether the event is not wanted, and only its topic, Id and Data were decoded. It has its place
	// among the others but is not delivered. If it is held back, the host decodes the rest, because it may be wanted by
	// the time it is delivered.
	Skimmed bool
}

// size returns the memory of a held message.
func (m *Message) size() int { return len(m.Event.Data) + 128 }

// DuplicateKind is how a duplicate was recognized.
type DuplicateKind uint8

// The kinds of duplicates.
const (
	// DuplicateSequence: by its position in the journal.
	DuplicateSequence DuplicateKind = iota
	// DuplicateID: by the Id of the event.
	DuplicateID
	numDuplicateKinds
)

// String returns the kind as a metric label.
func (k DuplicateKind) String() string { return [numDuplicateKinds]string{"seq", "id"}[k] }

// GapKind is the outcome of a repair.
type GapKind uint8

// The outcomes of a repair.
const (
	// GapRepaired: all missing events were read.
	GapRepaired GapKind = iota
	// GapFork: the journal itself went back, and events may be missing.
	GapFork
	// GapLost: counted events are missing.
	GapLost
	// GapPlain: plain events may be missing.
	GapPlain
	numGapKinds
)

// String returns the kind as a metric label.
func (k GapKind) String() string { return [numGapKinds]string{"repaired", "fork", "lost", "plain"}[k] }

// Host carries out the decisions of a Lane, which calls it from its own methods.
type Host interface {
	// Deliver takes the next event of the lane.
	Deliver(ev *events.Event)
	// StateKey returns what ev is the state of within its topic, see events.Catalog.StateKey. ok is false if ev is not a
	// state.
	StateKey(ev *events.Event) (key events.ID, ok bool)
	// Read decodes the rest of a skimmed event. It removes the Data if the message is not an event.
	Read(ev *events.Event)
	// Plain takes note of a plain event that has just been delivered.
	Plain(ev *events.Event)
	// Duplicate counts an event that was delivered before.
	Duplicate(kind DuplicateKind)
	// Overflow counts a held plain message that was dropped.
	Overflow()
	// Repaired takes the outcome of a repair that delivered events or found a loss, and its duration.
	Repaired(kind GapKind, delivered int, took time.Duration)
	// Lost takes a loss. Organization and Lane are not set.
	Lost(loss backplane.Loss)
}

// Era begins with the proof that everything published before a time of the server has arrived.
type Era struct {
	// ServerTime is that time as a stream id.
	ServerTime backplane.StreamID
	// At is the time of the proof by this node's clock.
	At time.Time
	// Requested is the time of the request for the server's time, by this node's clock. Everything published before it has
	// arrived.
	Requested time.Time
}

// Break describes an interruption in which messages of a lane may have been missed.
type Break struct {
	// Era is the latest era before the break; nil: none.
	Era *Era
	// Changed reports whether the server is not the one before, or has another history.
	Changed bool
	// Reason is the reason of a loss of plain messages in the break.
	Reason backplane.LossReason
	// Plain is the number of plain messages known to be dropped. They may be in the journal.
	Plain int
}

// Read is a request for entries of the journal or, with Peers, for events that other nodes received.
type Read struct {
	// Peers asks other nodes for plain events, after the journal was read. They are the events that these nodes received
	// after the one with the Id Known or, if that is zero, since the server's time Since.
	Peers bool
	Known events.ID
	Since backplane.StreamID
	// Latest asks for the latest entries, for Audited. Otherwise the read is of the entries after After, for Page.
	Latest bool
	After  backplane.StreamID
	// Count bounds the number of entries.
	Count int
	// Generation must be the same in the Page or Answer.
	Generation uint64
}

// Page is the answer to a Read.
type Page struct {
	Generation uint64
	// Entries are in the order of the journal.
	Entries []Message
	// More reports whether there were as many entries as requested.
	More bool
	// Counter is the number of the last counted event of the lane, read before the entries.
	Counter uint64
	// Failed reports that the journal cannot be read, now or later.
	Failed bool
}

// Answer is the peer answer to a Read with Peers.
type Answer struct {
	Generation uint64
	// Events are the events after the known one, in the order in which the other node received them.
	Events []events.Event
	// Complete reports whether there were no other events until now. false: that is not known.
	Complete bool
}
