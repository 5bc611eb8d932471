package fanout

import "time"

// Writer is a socket as a shard uses it. Only the shard's goroutine calls it, except where a method names another one.
type Writer interface {
	// TryWrite writes p to the socket without blocking and returns how many bytes the socket took. Fewer than len(p)
	// with a nil error mean that the socket is full.
	TryWrite(p []byte) (n int, err error)
	// Warm reads the memory that TryWrite will need soon, so that the processor has it in its cache by then.
	Warm()
	// WriteAll writes all of p to the socket and blocks up to the send timeout. A goroutine that exists while the
	// socket is full calls it; TryWrite is not called meanwhile.
	WriteAll(p []byte) error
	// KeepAlive is called when the outbox is opened, and then each time after the duration it returned last. It returns
	// the frame to send now, nil for none; the frame must not change. ok is false if the peer has been silent for too
	// long: the outbox then ends with Final.
	KeepAlive(now time.Time) (frame []byte, next time.Duration, ok bool)
	// Final returns the last bytes of an outbox that its shard ends as EndSlow or EndSilent.
	Final(reason EndReason) []byte
	// Owner returns the user whose memory waiting frames count for; the zero value: no user's.
	Owner() Owner
	// Lost is called when a write has failed, or another socket takes over, of an outbox that may continue on another
	// socket. It closes the socket. KeepAlive is called right after it: ok is then false when the wait for another socket
	// is over.
	Lost()
	// Sequence returns the frame that names the number of the first numbered frame behind it. It is called for an outbox
	// that continues on another socket.
	Sequence(number uint64) []byte
	// Ended is called once, after the last bytes were written or dropped. The socket may be closed then.
	Ended(reason EndReason)
}

// EndReason is the reason why an outbox ended.
type EndReason uint8

// The reasons for the end of an outbox.
const (
	// EndClosed: its session closed it.
	EndClosed EndReason = iota
	// EndSlow: the frames that waited for the socket exceeded a bound.
	EndSlow
	// EndSilent: the peer sent nothing for longer than the client timeout.
	EndSilent
	// EndFailed: the socket refused a write, or one write took longer than the send timeout.
	EndFailed
	numEndReasons
)

// String returns the reason as a metric label.
func (r EndReason) String() string {
	return [numEndReasons]string{"closed", "slow", "silent", "failed"}[r]
}
