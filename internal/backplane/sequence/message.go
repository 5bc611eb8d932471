package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Message is what arrived on a lane, live or from its journal.
type Message struct {
	// Position is where a journaled event stands. Live messages without a frame have none; entries of the journal
	// always have an ID, and N is 0 if their publisher does not count.
	backplane.Position
	// Event is what the message says; its Data is nil if it is no event. Then the message still has its place.
	Event events.Event
	// Era is the latest proof that came before a live message; nil: none.
	Era *Era
	// Shared says that Data lies in a larger buffer: it is copied if it must be kept.
	Shared bool
	// Skimmed says that nobody wants the event, of which only the topic, the Id and the Data are known. It has its place
	// among the others and is not delivered, unless it must be kept: then it is read to its end.
	Skimmed bool
}

// size is what a held message counts for.
func (m *Message) size() int { return len(m.Event.Data) + 128 }

// DuplicateKind says how a duplicate was recognized.
type DuplicateKind uint8

// The kinds of duplicates.
const (
	// DuplicateSequence: by its position in the journal.
	DuplicateSequence DuplicateKind = iota
	// DuplicateID: by the Id of the event.
	DuplicateID
	numDuplicateKinds
)

// String is the kind as a metric label.
func (k DuplicateKind) String() string { return [numDuplicateKinds]string{"seq", "id"}[k] }

// GapKind says how it went when events were missing.
type GapKind uint8

// The kinds of gaps.
const (
	// GapRepaired: all that was missing was read from the journal.
	GapRepaired GapKind = iota
	// GapFork: the journal itself went back; something may be missing.
	GapFork
	// GapLost: something is missing.
	GapLost
	// GapPlain: events without a journal may be missing.
	GapPlain
	numGapKinds
)

// String is the kind as a metric label.
func (k GapKind) String() string { return [numGapKinds]string{"repaired", "fork", "lost", "plain"}[k] }

// Host is where the decisions of a Lane go. Its methods are called from within those of the Lane.
type Host interface {
	// Deliver hands on an event: the next one of the lane.
	Deliver(ev *events.Event)
	// StateKey tells the states of a topic apart, see events.Catalog.StateKey; ok is false if the event is no state.
	StateKey(ev *events.Event) (key events.ID, ok bool)
	// Read completes an event that was skimmed; without Data it turned out to be none.
	Read(ev *events.Event)
	// Plain is told of an event without position that was delivered just now.
	Plain(ev *events.Event)
	// Duplicate counts an event that was delivered before.
	Duplicate(kind DuplicateKind)
	// Overflow counts a plain message that was held and had to be given up.
	Overflow()
	// Repaired reports the end of a repair that had something to repair: the events it delivered and its time.
	Repaired(kind GapKind, delivered int, took time.Duration)
	// Lost reports events that may be missing, or are. Organization and Lane are not set.
	Lost(loss backplane.Loss)
}

// Era begins when it is proven that everything published before a time of the server did arrive.
type Era struct {
	// Settled is that time, as a stream id.
	Settled backplane.StreamID
	// At is when the proof arrived, by this node's clock.
	At time.Time
	// Asked is by that clock when the server was asked for its time: what was published before has arrived.
	Asked time.Time
}

// Break says that messages of a lane may have been missed.
type Break struct {
	// Era is the latest proof before the break; nil: none.
	Era *Era
	// Changed says that the server is another one, or has another history, than the one before.
	Changed bool
	// Reason is what a loss of plain messages would be called.
	Reason backplane.LossReason
	// Plain is how many messages without position are known to be lost; they may be in the journal.
	Plain int
}

// Read asks for the entries of the journal or, if Peers is set, for what other nodes received.
type Read struct {
	// Peers says that the journal has no more to give, and that events without a journal may be missing: those that
	// others received after the one with the Id Known or, if that is zero, since the server's time Since.
	Peers bool
	Known events.ID
	Since backplane.StreamID
	// Latest says that the latest entries are to be read, for Audited, and not those After an id, for Page.
	Latest bool
	// After is the id after which to read.
	After backplane.StreamID
	// Count is how many entries to read at most.
	Count int
	// Generation must be given back with the Page.
	Generation uint64
}

// Page is the answer to a Read.
type Page struct {
	Generation uint64
	// Entries are in the order of the journal.
	Entries []Message
	// More says that there were as many entries as asked for.
	More bool
	// Counter is how many events of the lane were ever counted, read before the entries.
	Counter uint64
	// Failed says that the journal cannot be read, now or later.
	Failed bool
}

// Answer is the answer of another node to a Read with Peers.
type Answer struct {
	Generation uint64
	// Events are those that followed the known one, in the order in which they arrived there.
	Events []events.Event
	// Complete says that there were no others until now; false: nobody knows.
	Complete bool
}
