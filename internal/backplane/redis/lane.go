package redis

import (
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/peer"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// subscription is the state of a lane on the server, as far as this node knows.
type subscription uint8

const (
	// unsubscribed: no message arrives, and no subscription was requested.
	unsubscribed subscription = iota
	// subscribing: requested, not confirmed.
	subscribing
	// subscribed: confirmed.
	subscribed
	// unsubscribing: its end was requested and not confirmed.
	unsubscribing
)

// lane is a Redis channel that carries events of one organization, or another channel that the node subscribes: then
// handle is set.
type lane struct {
	// These fields do not change.
	name         string
	organization events.ID
	load         *load
	handle       func(payload []byte) // takes the messages of a channel without an organization; else nil
	missed       func()               // is called when messages of such a channel may have been missed; may be nil

	// link is where the lane belongs, by its server and connection; nil while the server is unknown. It is written
	// under index.mu.
	link atomic.Pointer[link]

	// Guarded by index.mu.
	number  int                // of its link in the group
	refs    int                // topics that were acquired and not released
	expires time.Time          // when to unsubscribe a lane without topics; zero: it has topics, or is given up
	state   subscription       // in the link's present epoch
	queued  bool               // it is in its link's queue
	alone   bool               // it gets its own request, as the server refused it together with others
	failed  error              // why the server refused it; nil: it did not
	changed chan struct{}      // closed when state or failed changes; nil: no goroutine waits
	origin  backplane.Position // the end of its journal before it was first subscribed
	located bool               // origin was looked up
	counted bool               // origin is known
	era     *sequence.Era      // the latest before its subscription ended; nil: none
	history string             // replication history of the server then; empty: unknown

	// Guarded by index.mu, for lanes in doubt.
	begun    bool      // it was subscribed and not given up since: its order goes on
	promised time.Time // since when it counts as acquired without a subscription; zero: it does not
	warned   bool      // its subscribers were notified that the server refuses it

	mailbox mailbox

	// Owned by the worker that has the lane.
	started      bool // the sequence has its origin
	sequence     sequence.Lane
	recent       peer.Recent
	states       backplane.States
	conversation peer.Conversation
	checked      bool // it is in checkups
}

// Name implements peer.Lane.
func (l *lane) Name() string { return l.name }

// wantedLocked reports whether the lane must be subscribed.
func (l *lane) wantedLocked() bool { return l.refs > 0 || !l.expires.IsZero() }

// notifyLocked wakes the goroutines that wait for the lane.
func (l *lane) notifyLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// changedLocked returns a Go channel that is closed at the next change.
func (l *lane) changedLocked() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// mayHaveMissed reports to the owner of a channel that messages may have been missed.
func (l *lane) mayHaveMissed() {
	if l.missed != nil {
		l.missed()
	}
}
