//go:build !linux

package node

import (
	"syscall"
	"time"
)

// boundUnconfirmed returns nil: the operating system decides when a peer that confirms nothing is lost.
func boundUnconfirmed(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
