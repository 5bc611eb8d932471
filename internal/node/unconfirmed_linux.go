package node

import (
	"os"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const tcpUserTimeout = 18

// boundUnconfirmed returns the Control function of a listener whose connections end when their peers confirm none of
// the bytes sent to them, or none of the keep-alive probes, for a time. Connections inherit it from the listener.
// Without it the kernel repeats a segment for a quarter of an hour, and a client that is lost before its first ping
// stays all that time: only clients that have pinged must ping again (1.8).
func boundUnconfirmed(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
		}); e != nil {
			return e
		}
		return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", err)
	}
}
