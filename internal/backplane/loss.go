package backplane

import (
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Loss reports that events of a lane are missing, or may be, and that this node cannot get them.
type Loss struct {
	// Organization is the organization of the lane.
	Organization events.ID
	// Lane is the name of the lane, as from Layout.Lane. The loss affects the topics of this lane.
	Lane string
	// From and To bound the time of publication by this node's clock. Zero: not known.
	From, To time.Time
	Reason   LossReason
	// Events is the number of events known to be missing. 0: the number is not known and may be zero.
	Events int
}

// LossReason is the reason why events are missing. Metrics and clients see it.
type LossReason uint8

// The reasons for a Loss.
const (
	// LossTrimmed: the events were counted, but the journal no longer has them.
	LossTrimmed LossReason = iota
	// LossFork: Redis lost the end of the journal in a failover or a restart. Events in that part may not have arrived.
	LossFork
	// LossOutage: the node was without a connection for a time, and the lane has publishers without a journal.
	LossOutage
	// LossOverflow: the node fell behind and dropped events that were not in the journal.
	LossOverflow

	numLossReasons
)

// String returns the reason as metrics and clients see it.
func (r LossReason) String() string {
	return [numLossReasons]string{"trimmed", "fork", "outage", "overflow"}[r]
}

// LossReasons returns all reasons.
func LossReasons() []LossReason {
	all := make([]LossReason, numLossReasons)
	for i := range all {
		all[i] = LossReason(i)
	}
	return all
}

// Losses notifies subscribers of losses.
type Losses interface {
	// Lost is called by the goroutine that dispatches the events of the lane, between two events. It must not block.
	Lost(loss Loss)
}
