package fanout

// DropReason is the reason why an event was not delivered to one of its subscribers.
type DropReason uint8

// The reasons for which an event is dropped.
const (
	// DropConflated: a newer state event replaced it while the socket was full.
	DropConflated DropReason = iota
	// DropExpired: its MessageTTLSeconds ended while the socket was full.
	DropExpired
	// DropSlow: its outbox exceeded a bound and ended.
	DropSlow
	// DropClosed: its outbox ended while the socket was full, because the session closed it or the peer was silent.
	DropClosed
	// DropFailed: the socket failed.
	DropFailed
	numDropReasons
)

// String returns the reason as a metric label.
func (r DropReason) String() string {
	return [numDropReasons]string{"conflated", "expired", "slow", "closed", "failed"}[r]
}

// dropReasonOf returns the reason of the frames that are dropped when an outbox ends.
func dropReasonOf(reason EndReason) DropReason {
	switch reason {
	case EndSlow:
		return DropSlow
	case EndFailed:
		return DropFailed
	default:
		return DropClosed
	}
}
