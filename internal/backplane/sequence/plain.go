package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// plainKept is the number of latest plain events that a lane keeps. One would be enough if all publishers of a lane
// were of one kind.
const plainKept = 64

// plainTail keeps the latest plain events of a lane. If the journal has them, their publishers write it.
type plainTail struct {
	seen      bool      // there was a plain event
	unaudited bool      // there was one since the last audit
	written   int       // number of events found in the journal
	missed    time.Time // time at which one was not found there; zero: never
	tail      []plain   // circular
	next      int       // place of the next event once tail is full
}

const (
	// plainProof is the number of plain events that must have been found in the journal, without one that was not, before
	// all publishers of the lane are assumed to write it. For a lane without plain events it is the number of counted
	// events.
	plainProof = 20
	// plainWatch is how long the lane must have been subscribed, in addition: publishers of another kind may publish less
	// often.
	plainWatch = time.Minute
	// plainMemory is how long an event that was not in the journal refutes that assumption.
	plainMemory = 10 * time.Minute
)

// trusted reports whether the journal has had all plain events for plainMemory.
func (p *plainTail) trusted(now time.Time) bool {
	return p.missed.IsZero() || now.Sub(p.missed) >= plainMemory
}

// verify compares the journal with the events we received and records those it lacks. written are the events in the
// journal; reached reports whether an event should be among them.
func (p *plainTail) verify(now time.Time, written map[events.ID]bool, reached func(e *plain) bool) {
	for i := range p.tail {
		e := &p.tail[i]
		switch {
		case e.written:
		case written[e.key]:
			e.written = true
			p.written++
		case reached(e):
			p.missed = now
		}
	}
}

// plain is a plain event.
type plain struct {
	key events.ID // see ids.key
	id  events.ID // the event's own Id; zero: it has none
	at  time.Time

	written bool // the journal has it
}

func (p *plainTail) add(key, id events.ID, now time.Time) {
	p.seen, p.unaudited = true, true
	if len(p.tail) < plainKept {
		p.tail = append(p.tail, plain{key: key, id: id, at: now})
		return
	}
	p.tail[p.next] = plain{key: key, id: id, at: now}
	p.next = (p.next + 1) % plainKept
}

// latest returns the arrival time of the last plain event.
func (p *plainTail) latest() time.Time { return p.last().at }

// latestID returns the Id of the last plain event, zero if there is none or it has no Id.
func (p *plainTail) latestID() events.ID { return p.last().id }

func (p *plainTail) last() plain {
	if len(p.tail) == 0 {
		return plain{}
	}
	return p.tail[(p.next+len(p.tail)-1)%len(p.tail)]
}
