package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rte-server/rte-server/bench/ingest"
)

// hello is a WebSocket text frame: the connection is accepted.
const hello = "\x81\x05hello"

// server is the state of the program.
type server struct {
	batch   int
	pending int    // events in frames
	frames  []byte // the events of the next write
	clients []int
	input   []byte // an incomplete batch from the publisher
	events  []ingest.Event
}

// serve serves clients and publishers until an error. It waits only in poll.
func serve(listen, ingest netip.AddrPort, batch int) error {
	clients, err := listener(listen)
	if err != nil {
		return err
	}
	publisher, err := listener(ingest)
	if err != nil {
		return err
	}
	s := server{batch: batch, frames: make([]byte, 0, 64<<10), input: make([]byte, 0, 1<<20)}
	waiting := []unix.PollFd{
		{Fd: int32(clients), Events: unix.POLLIN},   //nolint:gosec // a descriptor
		{Fd: int32(publisher), Events: unix.POLLIN}, //nolint:gosec // a descriptor
	}
	for {
		if _, err := unix.Poll(waiting, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if waiting[0].Revents != 0 {
			if err := s.accept(clients); err != nil {
				return err
			}
		}
		if waiting[1].Revents == 0 {
			continue
		}
		if waiting[1].Fd == int32(publisher) { //nolint:gosec // a descriptor
			fd, _, err := unix.Accept(publisher)
			if err != nil {
				return fmt.Errorf("accept publisher: %w", err)
			}
			waiting[1].Fd = int32(fd) //nolint:gosec // a descriptor
			continue
		}
		err := s.receive(int(waiting[1].Fd))
		if errors.Is(err, io.EOF) { // a readiness probe, or the end of a run: wait for the next publisher
			_ = unix.Close(int(waiting[1].Fd))
			waiting[1].Fd = int32(publisher) //nolint:gosec // a descriptor
			continue
		}
		if err != nil {
			return err
		}
	}
}

func listener(at netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("reuse address: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return 0, fmt.Errorf("bind %s: %w", at, err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return 0, fmt.Errorf("listen at %s: %w", at, err)
	}
	return fd, nil
}

func (s *server) accept(listener int) error {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set no delay: %w", err)
	}
	if write(fd, []byte(hello)) {
		s.clients = append(s.clients, fd)
	}
	return nil
}

// receive reads from the publisher and handles complete batches.
func (s *server) receive(publisher int) error {
	if len(s.input) == cap(s.input) {
		s.input = append(make([]byte, 0, 2*cap(s.input)), s.input...)
	}
	n, err := unix.Read(publisher, s.input[len(s.input):cap(s.input)])
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if n == 0 {
		return io.EOF
	}
	s.input = s.input[:len(s.input)+n]
	for {
		events, rest, ok := ingest.Cut(s.events[:0], s.input)
		if !ok {
			return nil
		}
		for _, ev := range events {
			s.frames = append(s.frames, ev.Payload...)
			if s.pending++; s.pending == s.batch {
				s.flush()
			}
		}
		s.events = events
		s.input = s.input[:copy(s.input, rest)]
		if !write(publisher, []byte{ingest.Taken}) {
			return io.EOF
		}
	}
}

// flush writes the frames to all clients. This is the part that the bench measures.
func (s *server) flush() {
	kept := s.clients[:0]
	for _, fd := range s.clients {
		if write(fd, s.frames) {
			kept = append(kept, fd)
		} else {
			_ = unix.Close(fd)
		}
	}
	s.clients, s.frames, s.pending = kept, s.frames[:0], 0
}

// write writes all of data and returns false if the connection has failed. It bypasses Go's scheduler.
func write(fd int, data []byte) bool {
	for len(data) > 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data))) //nolint:gosec // a system call
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return false
		}
		data = data[n:]
	}
	return true
}
