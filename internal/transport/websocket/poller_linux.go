package websocket

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Poller waits for all sockets whose readers have nothing to read, with one goroutine. Each would need a goroutine of
// its own otherwise: its stack and its bookkeeping take half of the memory of an idle connection.
//
// It is an instance of epoll, in which a socket reports once for each wait. The poller of Go waits for the instance, so
// no thread blocks. Any goroutine may call its methods, except Close.
type Poller struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll
	done  chan struct{}   // closed when the goroutine has ended

	entries sync.Pool // *entry

	mu      sync.Mutex // guards the following fields
	fd      int        // of epoll; -1: closed
	waiting []*Socket  // by file descriptor; nil: no reader waits
}

// polledEvents are those that end a wait. The kernel always reports errors and the end of both streams as well.
const polledEvents = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT

// StartPoller starts a poller.
func StartPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else Go's poller does not wait for it
		_ = syscall.Close(fd) // there is nothing in it
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	p := &Poller{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, done: make(chan struct{})}
	p.entries.New = p.newEntry
	p.raw, err = p.epoll.SyscallConn()
	if err == nil {
		err = p.epoll.SetReadDeadline(time.Time{}) // fails if Go's poller does not wait for it
	}
	if err != nil {
		_ = p.epoll.Close() // there is nothing in it
		return nil, fmt.Errorf("wait for epoll instance: %w", err)
	}
	go p.run()
	return p, nil
}

// Close ends the poller, and returns when its goroutine has ended. No reader may wait any more. p may be nil.
func (p *Poller) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.fd = -1 // the number may belong to another file soon
	p.mu.Unlock()
	_ = p.epoll.Close() // fails only if it is closed
	<-p.done
}

// run starts the readers that have something to read, until the poller is closed.
func (p *Poller) run() {
	defer close(p.done)
	events := make([]syscall.EpollEvent, 128)
	ready := make([]*Socket, 0, len(events))
	_ = p.raw.Read(func(fd uintptr) (done bool) { // returns when the poller is closed
		for {
			n, err := syscall.EpollWait(int(fd), events, 0)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if n <= 0 {
				return false // Go's poller reports the next event: those before it were taken
			}
			ready = p.take(ready[:0], events[:n])
			for i, s := range ready {
				s.readOn()
				ready[i] = nil
			}
		}
	})
}

// take appends the sockets of events. An event may be older than its socket, whose descriptor another socket had
// before: then its reader finds nothing to read.
func (p *Poller) take(ready []*Socket, events []syscall.EpollEvent) []*Socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		fd := events[i].Fd
		if s := p.waiting[fd]; s != nil {
			ready = append(ready, s)
			p.waiting[fd] = nil
		}
	}
	return ready
}

// add waits for a socket whose state is readerWaits. added reports whether the kernel knows it from an earlier wait. It
// returns false if that is not possible, or if the socket is closed.
func (p *Poller) add(s *Socket, added bool) (ok bool) {
	e := p.entries.Get().(*entry) //nolint:forcetypeassert // nothing else is in there
	e.socket, e.added, e.ok = s, added, false
	err := s.raw.Control(e.control)
	ok = err == nil && e.ok
	e.socket = nil
	p.entries.Put(e)
	return ok
}

// entry is a call of enter. A function literal would take memory for each wait.
type entry struct {
	socket    *Socket
	added, ok bool
	control   func(uintptr) // prevents that the descriptor is closed and used again while it runs
}

// newEntry returns an entry for calls of p.enter.
func (p *Poller) newEntry() any {
	e := &entry{}
	e.control = func(uintptr) { e.ok = p.enter(e.socket, e.added) }
	return e
}

// enter does the work of add.
func (p *Poller) enter(s *Socket, added bool) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.reading.Load() != readerWaits {
		return true // it was woken meanwhile
	}
	for len(p.waiting) <= s.fd {
		p.waiting = append(p.waiting, nil)
	}
	p.waiting[s.fd] = s
	op := syscall.EPOLL_CTL_ADD
	if added {
		op = syscall.EPOLL_CTL_MOD
	}
	event := syscall.EpollEvent{Events: polledEvents, Fd: int32(s.fd)} //nolint:gosec // descriptors are small
	return syscall.EpollCtl(p.fd, op, s.fd, &event) == nil
}

// remove forgets a socket whose reader does not wait any more.
func (p *Poller) remove(s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fd < len(p.waiting) && p.waiting[s.fd] == s {
		p.waiting[s.fd] = nil
	}
}
