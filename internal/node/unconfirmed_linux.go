package node

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boundUnconfirmed returns the Control function of a listener. Its connections end when their peers confirm no bytes,
// or no keep-alive probes, for a time. Connections inherit this from the listener. Without it the kernel repeats a
// segment for a quarter of an hour. A client lost before its first ping would stay all that time: only clients that
// have pinged must ping again (1.8).
func boundUnconfirmed(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
		}); e != nil {
			return e
		}
		return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", err)
	}
}
