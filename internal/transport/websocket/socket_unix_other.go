//go:build unix && !linux

package websocket

import "syscall"

// writeFD is write(2) for a descriptor that never blocks.
func writeFD(fd int, p []byte) (n int, err error) { return syscall.Write(fd, p) }
