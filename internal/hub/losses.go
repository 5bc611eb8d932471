package hub

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// Loss reports that events of a lane are missing, or may be, and that this node cannot get them back.
type Loss struct {
	// Organization is the organization of the lane.
	Organization events.ID
	// Lane is its name, as ResyncOptions.Lane returns it.
	Lane string
	// From and To bound when the events were published; zero: not known.
	From, To time.Time
	// Reason is the cause, in a word for clients.
	Reason string
}

// with returns the loss that covers the events of both.
func (l Loss) with(other Loss) Loss {
	if l.From.IsZero() || other.From.IsZero() {
		l.From = time.Time{}
	} else if other.From.Before(l.From) {
		l.From = other.From
	}
	if l.To.IsZero() || other.To.IsZero() {
		l.To = time.Time{}
	} else if other.To.After(l.To) {
		l.To = other.To
	}
	return l
}

// losses collects the losses that Run has not planned yet. The lanes of the node bound their number.
type losses struct {
	came wakeup.Signal // static; set when there is a loss

	mu     sync.Mutex
	byLane map[string]Loss // guarded by mu
}

func newLosses() losses { return losses{came: wakeup.New(), byLane: map[string]Loss{}} }

// add adds a loss.
func (l *losses) add(loss Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.byLane[loss.Lane]; ok {
		loss = before.with(loss)
	}
	l.byLane[loss.Lane] = loss
	l.came.Set()
}

// take returns and clears the losses.
func (l *losses) take() map[string]Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	byLane := l.byLane
	l.byLane = map[string]Loss{}
	return byLane
}
