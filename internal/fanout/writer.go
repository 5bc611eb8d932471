package fanout

import "time"

// Writer is a socket as a shard sees it. Except where it says otherwise, only the shard's goroutine calls it.
type Writer interface {
	// TryWrite hands p to the socket without waiting. n < len(p) with a nil error says that the socket is full.
	TryWrite(p []byte) (n int, err error)
	// WriteAll hands all of p to the socket and waits as long as the send timeout allows. It is called from a
	// goroutine that exists while the socket is full; TryWrite is not called meanwhile.
	WriteAll(p []byte) error
	// KeepAlive is called at the times it asks for, first when the outbox is opened. It returns what to send
	// now (nothing: nil) and after what time to be called again. A peer that has been silent for too long is
	// reported by ok == false: the outbox then ends with Final.
	KeepAlive(now time.Time) (frame []byte, next time.Duration, ok bool)
	// Final makes the last bytes of an outbox that the shard ends by itself, as EndSlow or EndSilent.
	Final(reason EndReason) []byte
	// Ended is called once, after the last bytes were written or given up. The socket may be closed then.
	Ended(reason EndReason)
}

// EndReason says why an outbox ended.
type EndReason uint8

// The reasons for the end of an outbox.
const (
	// EndClosed: its session closed it.
	EndClosed EndReason = iota
	// EndSlow: more waited for the socket than the bound allows.
	EndSlow
	// EndSilent: the peer sent nothing for longer than the client timeout.
	EndSilent
	// EndFailed: the socket refused a write, or one write took longer than the send timeout.
	EndFailed
	numEndReasons
)

// String is the reason as a metric label.
func (r EndReason) String() string {
	return [numEndReasons]string{"closed", "slow", "silent", "failed"}[r]
}
