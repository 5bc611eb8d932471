//go:build unix

package websocket

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// rawConn returns the file descriptor of a plain connection. It returns nil for other types, which transform bytes.
func rawConn(conn net.Conn) (raw syscall.RawConn, fd int) {
	var err error
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	}
	if raw == nil || err != nil {
		return nil, 0
	}
	if err := raw.Control(func(descriptor uintptr) { fd = int(descriptor) }); err != nil {
		return nil, 0
	}
	return raw, fd
}

// readNow reads the available bytes. Without any it gives the buffer back and returns false: the poller then calls it
// again when there are some. It has to try before it waits, because the poller reports readiness only once.
func (s *Socket) readNow(fd uintptr) (done bool) {
	buf := s.buffers.Get()
	for {
		n, err := syscall.Read(int(fd), buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			s.buffers.Put(buf)
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		s.in, s.inLen, s.inErr = buf, max(n, 0), err
		return true
	}
}

// writeNow writes as much as the socket takes.
func writeNow(fd int, p []byte) (n int, err error) {
	for {
		n, err = writeFD(fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			err = nil
		}
		return max(n, 0), err
	}
}
