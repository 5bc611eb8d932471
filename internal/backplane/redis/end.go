package redis

import (
	"fmt"
)

// endReason is why an epoch ended.
type endReason uint8

const (
	// endDial: the connection or the authentication failed, or the server is not a master.
	endDial endReason = iota
	// endLost: the connection was closed, or a read or write failed.
	endLost
	// endSilent: nothing was read for the probe timeout, not even the answer to a PING.
	endSilent
	// endCanary: Redis accepted a canary, and the connection did not deliver it.
	endCanary
	// endProtocol: the server sent an unexpected reply.
	endProtocol
	// endSwitched: another server is the master now.
	endSwitched
	// endStopped: the node stops, or the server has left the cluster.
	endStopped

	numEndReasons
)

// String returns the reason as a metric label.
func (r endReason) String() string {
	return [numEndReasons]string{"dial", "lost", "silent", "canary", "protocol", "switched", "stopped"}[r]
}

// ended is the error that ends an epoch.
type ended struct {
	reason endReason
	err    error
}

func (e *ended) Error() string { return e.reason.String() + ": " + e.err.Error() }
func (e *ended) Unwrap() error { return e.err }

func end(reason endReason, format string, args ...any) error {
	return &ended{reason: reason, err: fmt.Errorf(format, args...)}
}
