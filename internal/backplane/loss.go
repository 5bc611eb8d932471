package backplane

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Loss says that events of a lane may be missing, or are, and that this node cannot get them.
type Loss struct {
	// Organization is whose lane it is.
	Organization events.ID
	// Lane is the lane's name, as Layout.Lane makes it: a topic is concerned if that is its lane.
	Lane string
	// From and To are when the events were published, as far as that is known, by this node's clock.
	From, To time.Time
	// Reason is why.
	Reason LossReason
	// Events is how many are known to be missing; 0: their number is not known, and may be none.
	Events int
}

// LossReason says why events are missing. It is bounded and fit for a metric label and for clients.
type LossReason uint8

// The reasons for a Loss.
const (
	// LossTrimmed: the events were counted and the journal does not have them any more.
	LossTrimmed LossReason = iota
	// LossFork: Redis lost the end of the journal, in a failover or a restart. What was in it may not have arrived.
	LossFork
	// LossOutage: the lane has publishers without a journal, and there was a time without a connection.
	LossOutage
	// LossOverflow: the node fell behind, and the events were not in the journal.
	LossOverflow

	numLossReasons
)

// String is the reason as a metric label and as clients see it.
func (r LossReason) String() string {
	return [numLossReasons]string{"trimmed", "fork", "outage", "overflow"}[r]
}

// LossReasons are all reasons.
func LossReasons() []LossReason {
	all := make([]LossReason, numLossReasons)
	for i := range all {
		all[i] = LossReason(i)
	}
	return all
}

// Losses is told what listeners must fetch again. It is called by the goroutine that brings the events of the lane,
// between two events, and must not wait.
type Losses interface {
	Lost(loss Loss)
}
