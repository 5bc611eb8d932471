//go:build unix

package transport

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// rawConn is the file descriptor of a plain connection; nil for others, whose bytes go through layers of their own.
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

// readNow reads what there is. If there is nothing it gives the buffer back and asks to be called again when there is.
// It has to try before it may wait: readiness is announced once only.
func (s *socket) readNow(fd uintptr) (done bool) {
	buf := s.buffers.get()
	for {
		n, err := syscall.Read(int(fd), buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			s.buffers.put(buf)
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		s.in, s.inLen, s.inErr = buf, max(n, 0), err
		return true
	}
}

// writeNow writes what the socket takes.
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
