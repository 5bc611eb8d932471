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
	seen      bool      // there was one
	journaled bool      // all that were looked for were in the journal
	noticed   time.Time // when one was not; zero: never
	tail      []plain   // a circle of the latest
	next      int       // where the next goes once the circle is full
}

// plain is an event without position.
type plain struct {
	id events.ID
	at time.Time
}

func (p *plainTail) add(id events.ID, now time.Time) {
	p.seen = true
	if len(p.tail) < plainKept {
		p.tail = append(p.tail, plain{id, now})
		return
	}
	p.tail[p.next] = plain{id, now}
	p.next = (p.next + 1) % plainKept
}

// latest is when the last one came.
func (p *plainTail) latest() time.Time {
	if len(p.tail) == 0 {
		return time.Time{}
	}
	return p.tail[(p.next+len(p.tail)-1)%len(p.tail)].at
}
