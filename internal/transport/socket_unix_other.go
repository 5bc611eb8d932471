//go:build unix && !linux

package transport

import "syscall"

// writeFD is write(2) for a descriptor that never blocks.
func writeFD(fd uintptr, p []byte) (n int, err error) { return syscall.Write(int(fd), p) }
