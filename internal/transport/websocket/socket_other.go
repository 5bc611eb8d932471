//go:build !unix

package websocket

import (
	"net"
	"syscall"
)

// rawConn returns nil: this operating system has no write that does not wait.
func rawConn(net.Conn) (raw syscall.RawConn, fd int) { return nil, 0 }

func (s *Socket) readNow(uintptr) (done bool) { return true }

func writeNow(int, []byte) (n int, err error) { return 0, nil }

// boundSend does nothing: the operating system chooses what it keeps.
func boundSend(net.Conn) {}
