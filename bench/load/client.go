package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// readSize bounds one read. A busy connection has up to 16 messages of 1 KB waiting, or a whole window of 64 KB when
	// the server writes faster than this client reads.
	readSize = 256 << 10
	// sources is the number of loopback addresses of the clients. One address has 28,000 ports by default, so 8 are enough
	// for more than 200,000 connections.
	sources = 8
	// keepAliveEvery is the interval in which each connection sends KeepAlive, the same as in SignalR clients.
	keepAliveEvery = 15 * time.Second
	tick           = 100 * time.Millisecond
	// yieldBytes is the number of bytes, read in a quarter of a millisecond, after which a client yields the core to the
	// threads of other groups and of publishers. Otherwise they would wait up to 4 ms for the kernel's next tick, and that
	// time would count as latency of the server.
	yieldBytes = 256 << 10
)

// Options configures a Client.
type Options struct {
	Server  netip.AddrPort // IPv4 loopback
	Dialect Dialect
	Clock   Clock
}

// Client is the load. Any goroutine may call its methods while Run runs.
type Client struct {
	server  unix.SockaddrInet4
	dialect Dialect
	clock   Clock
	epoll   int
	wake    int      // eventfd: a command waits
	waker   *os.File // the same eventfd; writing to a closed file is safe

	commands chan func()
	stopped  chan struct{} // closed when Run has ended

	// Owned by Run.
	byFD     []*conn
	conns    []*conn
	groups   []*Group
	starts   []*job
	buffer   []byte
	taken    int // bytes since the last yield
	topics   []uint32
	nextPing int
	slow     []*conn // see Slow
	from     int64   // latency counts only events that are published from here
	until    int64   // to here
}

// New returns a client without connections.
func New(o Options) (*Client, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	l := &Client{
		server:   unix.SockaddrInet4{Port: int(o.Server.Port()), Addr: o.Server.Addr().As4()},
		dialect:  o.Dialect,
		clock:    o.Clock,
		epoll:    epoll,
		wake:     wake,
		waker:    os.NewFile(uintptr(wake), "eventfd"),
		commands: make(chan func(), 1),
		stopped:  make(chan struct{}),
		buffer:   make([]byte, readSize),
	}
	if err := l.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN); err != nil {
		_ = unix.Close(epoll)
		_ = l.waker.Close()
		return nil, err
	}
	return l, nil
}

// Run serves the connections until ctx ends, then closes them. It locks its thread.
func (l *Client) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.stopped)
	defer l.close()

	events := make([]unix.EpollEvent, 1024)
	lastTick := l.clock.Now()
	for ctx.Err() == nil {
		n, err := unix.EpollWait(l.epoll, events, int(tick/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			l.dispatch(ev)
			if l.taken >= yieldBytes {
				l.taken = 0
				_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			}
		}
		l.startJobs()
		if now := l.clock.Now(); now-lastTick >= int64(tick) {
			l.keepAlive(time.Duration(now - lastTick))
			l.readSlowly(time.Duration(now - lastTick))
			lastTick = now
		}
	}
	return nil
}

func (l *Client) dispatch(ev unix.EpollEvent) {
	if int(ev.Fd) == l.wake {
		var drop [8]byte
		_, _ = unix.Read(l.wake, drop[:])
		select {
		case command := <-l.commands:
			command()
		default:
		}
		return
	}
	c := l.byFD[ev.Fd]
	if c == nil {
		return // an earlier event has closed it
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		l.writable(c)
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.state != dead {
		l.readable(c)
	}
}

func (l *Client) startJobs() {
	for len(l.starts) > 0 {
		j := l.starts[0]
		l.starts = l.starts[1:]
		l.startNext(j)
	}
}

// keepAlive sends to the connections that are due after the elapsed time.
func (l *Client) keepAlive(passed time.Duration) {
	message := l.dialect.KeepAlive()
	if message == nil || len(l.conns) == 0 {
		return
	}
	data := clientFrame(opText, message)
	for range min(int(int64(len(l.conns))*int64(passed)/int64(keepAliveEvery))+1, len(l.conns)) {
		l.nextPing = (l.nextPing + 1) % len(l.conns)
		if c := l.conns[l.nextPing]; c.state == ready {
			l.write(c, data)
		}
	}
}

// readSlowly reads from the slow connections as much as their pace allows after the passed time.
func (l *Client) readSlowly(passed time.Duration) {
	for _, c := range l.slow {
		limit := int(float64(c.pace) * passed.Seconds())
		for c.state == ready && limit > 0 {
			n := l.read(c, limit)
			if n == 0 {
				break
			}
			limit -= n
		}
	}
}

// dial begins to connect.
func (l *Client) dial(c *conn) {
	c.started = l.clock.Now()
	fd, err := l.socket(c)
	if err != nil {
		c.state = dead
		l.finish(c, err)
		return
	}
	c.fd = fd
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, make([]*conn, 1024)...)
	}
	l.byFD[fd] = c
	if err := l.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLOUT); err != nil {
		l.fail(c, err)
	}
}

func (l *Client) socket(c *conn) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	options := []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		// Choose the port at connect: it then has to be unique only together with the address of the server.
		{unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1},
	}
	if c.group.SmallBuffers {
		options = append(options, struct{ level, name, value int }{unix.SOL_SOCKET, unix.SO_RCVBUF, 4 << 10},
			struct{ level, name, value int }{unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			_ = unix.Close(fd)
			return 0, fmt.Errorf("set socket option: %w", err)
		}
	}
	// Close with a reset. Otherwise tens of thousands of sockets would stay in TIME_WAIT until the next run.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	source := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + c.index%sources)}} //nolint:gosec // small
	if err := unix.Bind(fd, &source); err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("bind source address: %w", err)
	}
	if err := unix.Connect(fd, &l.server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// watch sets the events of a connection that epoll reports.
func (l *Client) watch(c *conn) {
	var interest uint32
	if !c.frozen {
		interest |= unix.EPOLLIN
	}
	if len(c.out) > 0 {
		interest |= unix.EPOLLOUT
	}
	if err := l.control(unix.EPOLL_CTL_MOD, c.fd, interest); err != nil {
		l.fail(c, err)
	}
}

func (l *Client) control(op, fd int, interest uint32) error {
	ev := unix.EpollEvent{Events: interest, Fd: int32(fd)} //nolint:gosec // a descriptor
	if err := unix.EpollCtl(l.epoll, op, fd, &ev); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// signal wakes Run.
func (l *Client) signal() { _, _ = l.waker.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (l *Client) close() {
	for _, c := range l.byFD {
		if c != nil {
			_ = unix.Close(c.fd)
		}
	}
	_ = unix.Close(l.epoll)
	_ = l.waker.Close()
}

// read is a non-blocking read without the Go scheduler. Entering and leaving the scheduler, as unix.Read does, costs
// more than the system call itself when 100,000 reads per second find one message each.
func read(fd int, dst []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst))) //nolint:gosec // a system call
	return int(n), errno
}
