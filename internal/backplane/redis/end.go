package redis

import (
	"fmt"
)

// endReason says why an epoch ended.
type endReason uint8

const (
	// endDial: no connection, no authentication, or not to a master.
	endDial endReason = iota
	// endLost: the connection was closed, or a read or a write failed.
	endLost
	// endSilent: nothing was read for the probe timeout, not even the answer to a PING.
	endSilent
	// endCanary: Redis took a canary and the connection did not bring it.
	endCanary
	// endProtocol: the server sent something that was not expected.
	endProtocol
	// endSwitched: another server is the master now.
	endSwitched
	// endStopped: the node stops, or the server has left the cluster.
	endStopped

	numEndReasons
)

// String is the reason as a metric label.
func (r endReason) String() string {
	return [numEndReasons]string{"dial", "lost", "silent", "canary", "protocol", "switched", "stopped"}[r]
}

// ended is the end of an epoch.
type ended struct {
	reason endReason
	err    error
}

func (e *ended) Error() string { return e.reason.String() + ": " + e.err.Error() }
func (e *ended) Unwrap() error { return e.err }

func end(reason endReason, format string, args ...any) error {
	return &ended{reason: reason, err: fmt.Errorf(format, args...)}
}
