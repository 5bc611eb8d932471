package fanout

// DropReason says why an event was not delivered to a listener that it was meant for.
type DropReason uint8

// The reasons for which a frame is dropped.
const (
	// DropConflated: a newer state event took its place while the socket was full.
	DropConflated DropReason = iota
	// DropExpired: it outlived its MessageTTLSeconds while the socket was full.
	DropExpired
	// DropSlow: its outbox was over the bound and ended.
	DropSlow
	// DropClosed: its outbox was closed, by the session or because the peer was silent, while the socket was full.
	DropClosed
	// DropFailed: the socket failed.
	DropFailed
	numDropReasons
)

// String is the reason as a metric label.
func (r DropReason) String() string {
	return [numDropReasons]string{"conflated", "expired", "slow", "closed", "failed"}[r]
}

// dropReasonOf is why frames are dropped when an outbox ends.
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
