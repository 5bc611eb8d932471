//go:build !linux

package relay

import (
	"net"
	"syscall"
	"time"
)

// keepAlive ends a connection to a node that disappeared.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 2 * time.Second, Count: 3}

// boundSocket does nothing: the operating system chooses its buffers.
func boundSocket(string, string, syscall.RawConn) error { return nil }

// boundAccepted does nothing, for the same reason.
func boundAccepted(*net.TCPConn) {}
