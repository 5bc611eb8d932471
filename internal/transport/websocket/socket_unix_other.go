//go:build unix && !linux

package websocket

import (
	"net"
	"syscall"
)

// boundSend does nothing: the operating system chooses what it keeps.
func boundSend(net.Conn) {}

// writeFD is write(2) for a descriptor that never blocks.
func writeFD(fd int, p []byte) (n int, err error) { return syscall.Write(fd, p) }
