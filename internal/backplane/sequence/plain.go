package sequence

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// plainKept is how many plain events of a lane are remembered. One would do if a lane had publishers of one kind.
const plainKept = 64

// plainTail remembers the latest events of a lane that came without a position: whether the journal has them tells
// if their publishers write it.
type plainTail struct {
	seen    bool      // there was one
	news    bool      // there was one since the last audit
	written int       // how many were found in the journal
	noticed time.Time // when one was not; zero: never
	tail    []plain   // a circle of the latest
	next    int       // where the next goes once the circle is full
}

const (
	// plainProof is how many plain events of a lane must have been found in the journal, and none not, until its
	// publishers are believed to write it; of a lane without plain events, how many must have been counted.
	plainProof = 20
	// plainWatch is for how long a lane must have been listened to, beside that: publishers of another kind may be
	// heard less often.
	plainWatch = time.Minute
	// plainMemory is for how long they are not, after one was missed.
	plainMemory = 10 * time.Minute
)

// trusted says that the journal missed none for a while.
func (p *plainTail) trusted(now time.Time) bool {
	return p.noticed.IsZero() || now.Sub(p.noticed) >= plainMemory
}

// verify is told which events the journal has, of those that reached says it should have.
func (p *plainTail) verify(now time.Time, written map[events.ID]bool, reached func(e *plain) bool) {
	for i := range p.tail {
		e := &p.tail[i]
		switch {
		case e.written:
		case written[e.key]:
			e.written = true
			p.written++
		case reached(e):
			p.noticed = now
		}
	}
}

// plain is an event without position.
type plain struct {
	key events.ID // see ids.key
	id  events.ID // its own; zero: it has none
	at  time.Time

	written bool // the journal has it
}

func (p *plainTail) add(key, id events.ID, now time.Time) {
	p.seen, p.news = true, true
	if len(p.tail) < plainKept {
		p.tail = append(p.tail, plain{key: key, id: id, at: now})
		return
	}
	p.tail[p.next] = plain{key: key, id: id, at: now}
	p.next = (p.next + 1) % plainKept
}

// latest is when the last one came.
func (p *plainTail) latest() time.Time { return p.last().at }

// latestID is the Id of the last one; zero if there was none, or it has none.
func (p *plainTail) latestID() events.ID { return p.last().id }

func (p *plainTail) last() plain {
	if len(p.tail) == 0 {
		return plain{}
	}
	return p.tail[(p.next+len(p.tail)-1)%len(p.tail)]
}
