package relay

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lostTime is how long another node may confirm nothing before the connection to it ends.
	lostTime = 10 * time.Second
	// receiveBytes bounds the kernel's buffer of bytes for a client: the owner can no longer replace states in it by newer
	// ones. The kernel counts its overhead as well and doubles the number.
	receiveBytes = 128 << 10
)

// keepAlive ends a connection to a node that disappeared.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 2 * time.Second, Count: 3}

// boundSocket bounds the kernel's buffer for a connection to another node, and how long the kernel waits for that node.
// A connection without these bounds works as well.
func boundSocket(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		boundWait(fd)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBytes)
	})
}

// boundAccepted bounds how long the kernel waits for the node at the other end.
func boundAccepted(conn *net.TCPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(boundWait)
	}
}

func boundWait(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(lostTime/time.Millisecond))
}
