//go:build !unix

package transport

import (
	"net"
	"syscall"
)

// rawConn is nil: this operating system has no write that does not wait.
func rawConn(net.Conn) syscall.RawConn { return nil }

func (s *socket) readNow(uintptr) (done bool) { return true }

func (s *socket) writeNow(uintptr) (done bool) { return true }
