package websocket

import (
	"net"
	"syscall"
	"unsafe"
)

const (
	// unsentBytes is how much the kernel keeps of what the peer has no room for before the socket counts as full. The
	// kernel would keep 4 MB: states in front of newer ones that could replace them.
	unsentBytes = 8 << 10
	// unconfirmedBytes bounds what is on the way to a peer that confirms nothing. The kernel counts its overhead as well
	// and doubles the number. On a line with a round trip of 200 ms, a client receives about 1 MB/s.
	unconfirmedBytes = 128 << 10

	tcpNotsentLowat = 25 // TCP_NOTSENT_LOWAT, missing in package syscall
)

// boundSend bounds what the kernel keeps of the bytes that were written to a TCP connection. The bounds are those of
// tcp(7) and socket(7); a connection without them works as well.
func boundSend(conn net.Conn) {
	tcp, ok := underlying(conn).(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, unsentBytes)
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, unconfirmedBytes)
	})
}

// writeFD is send(2) without waiting; write(2) would take 3 % more, as it looks at the file first. It hides the call
// from the runtime. Otherwise, when a write takes its 10 us, the runtime counts the shard's thread as blocked, hands
// its processor on, and polls from its monitor every 20 us: an eighth of the time of a process with one core.
func writeFD(fd int, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	//nolint:gosec // converted in the call, as the rules of package unsafe want it
	written, _, errno := syscall.RawSyscall6(
		syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(written), nil
}
