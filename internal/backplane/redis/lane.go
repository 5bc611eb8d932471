package redis

import (
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/peer"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// subscription is what the server knows of a lane, as far as this node knows.
type subscription uint8

const (
	// unsubscribed: no message arrives, and none was asked for.
	unsubscribed subscription = iota
	// subscribing: asked for, not confirmed.
	subscribing
	// subscribed: confirmed.
	subscribed
	// unsubscribing: given up, not confirmed.
	unsubscribing
)

// lane is a Redis channel that carries events of one organization.
type lane struct {
	// Static.
	name         string
	organization events.ID
	load         *load
	handle       func(payload []byte) // takes the messages of a channel that is no organization's lane; else nil
	missed       func()               // is told, of such a channel, that some may have been missed; nil: nobody is

	// link is where the lane is subscribed; nil while that is not known. It changes under index.mu.
	link atomic.Pointer[link]

	// Guarded by index.mu.
	refs    int                // topics that were acquired and not released
	expires time.Time          // when to unsubscribe a lane without topics; zero: it has some, or is gone
	state   subscription       // at the link's present epoch
	queued  bool               // it is in its link's queue
	alone   bool               // it is subscribed by a command of its own, as the server refused it in company
	failed  error              // why the server refused it; nil: it did not
	changed chan struct{}      // closed when state or failed change; nil: nobody waits
	origin  backplane.Position // where its journal ended before it was first subscribed
	located bool               // origin was looked up
	counted bool               // origin is known
	era     *sequence.Era      // the latest before its subscription ended; nil: none
	history string             // of the server then; empty: not known

	mailbox mailbox

	// Owned by the worker that has the lane.
	started      bool // the sequence has its origin
	sequence     sequence.Lane
	recent       peer.Recent
	states       backplane.States
	conversation peer.Conversation
	checked      bool // it is among the lanes that are checked up
}

// Name implements peer.Lane.
func (l *lane) Name() string { return l.name }

// wantedLocked says that the lane shall be subscribed.
func (l *lane) wantedLocked() bool { return l.refs > 0 || !l.expires.IsZero() }

// notifyLocked wakes those that wait for the lane.
func (l *lane) notifyLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// changedLocked is closed at the next change.
func (l *lane) changedLocked() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// mayHaveMissed tells whoever takes the messages of a channel that is no organization's lane.
func (l *lane) mayHaveMissed() {
	if l.missed != nil {
		l.missed()
	}
}
