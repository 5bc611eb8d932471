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

// losses collects the losses that Run has not planned yet, and the sessions whose undecided items can be decided. The
// lanes and the sessions of the node bound their numbers.
type losses struct {
	came wakeup.Signal // static; set when there is a loss

	mu        sync.Mutex
	byLane    map[string]Loss // guarded by mu
	undecided []*Session      // guarded by mu
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

// addUndecided adds a session.
func (l *losses) addUndecided(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undecided = append(l.undecided, s)
	l.came.Set()
}

// take returns and clears the losses and the sessions.
func (l *losses) take() (byLane map[string]Loss, undecided []*Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byLane, undecided = l.byLane, l.undecided
	l.byLane, l.undecided = map[string]Loss{}, nil
	return byLane, undecided
}
