package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/rte-server/rte-server/bench/event"
)

// Errors of a connection.
var (
	ErrUpgrade   = errors.New("server did not upgrade")
	ErrRefused   = errors.New("server refused")
	ErrFrameSize = errors.New("frame is larger than the read buffer")
)

// state is the progress of a connection.
type state uint8

const (
	dialing state = iota
	upgrading
	greeting
	subscribing
	ready
	dead
)

// conn is one connection. The loop owns it.
type conn struct {
	group *Group
	index int
	base  int // see Group.base
	fd    int
	state state

	have, requested, want int // topics: confirmed, requested, wanted in the end
	started               int64
	sequences             []sequence // by slot

	rest    []byte // the beginning of an incomplete frame
	message []byte // the fragments of an incomplete message
	out     []byte // bytes that the socket has not taken yet
	job     *job   // waits for this connection to become ready
	frozen  bool
	pace    int // bytes per second of a frozen connection; 0: it reads nothing
}

// advance moves c to its next state and sends the message for it.
func (l *Client) advance(c *conn) {
	who := Identity{Organization: c.group.Organization, Group: c.group.Name, Index: c.index}
	switch c.state {
	case dialing:
		c.state = upgrading
		if request := l.dialect.Upgrade(who); request != nil {
			l.write(c, request)
			return
		}
		l.advance(c)
	case upgrading:
		c.state = greeting
		if hello := l.dialect.Hello(who); hello != nil {
			l.write(c, clientFrame(opText, hello))
		}
	case greeting:
		c.state = subscribing
		l.subscribe(c)
	case subscribing, ready, dead:
	}
}

// subscribe requests the next topics. If there are none, the connection is ready.
func (l *Client) subscribe(c *conn) {
	if c.have >= c.want {
		c.state = ready
		c.group.ready.Add(l.clock.Now() - c.started)
		l.finish(c, nil)
		return
	}
	n := min(c.want-c.requested, l.dialect.Batch())
	l.topics = l.topics[:0]
	for i := range n {
		l.topics = append(l.topics, c.group.Topic(c.index, c.requested+i))
	}
	c.requested += n
	message := l.dialect.Subscribe(l.topics)
	if message == nil {
		c.have = c.requested
		l.subscribe(c)
		return
	}
	l.write(c, clientFrame(opText, message))
}

// readable reads once. epoll reports the connection again if there is more.
func (l *Client) readable(c *conn) { l.read(c, len(l.buffer)) }

// read reads once, at most limit bytes, and returns their number.
func (l *Client) read(c *conn, limit int) int {
	kept := copy(l.buffer, c.rest)
	if kept == len(l.buffer) {
		l.fail(c, ErrFrameSize)
		return 0
	}
	n, errno := read(c.fd, l.buffer[kept:min(kept+limit, len(l.buffer))])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0
	case errno != 0:
		l.fail(c, fmt.Errorf("read: %w", errno))
		return 0
	case n == 0:
		l.fail(c, fmt.Errorf("read: %w", io.EOF))
		return 0
	}
	l.taken += n
	data := l.buffer[:kept+n]
	if c.state == upgrading {
		head, rest, complete := bytes.Cut(data, []byte("\r\n\r\n"))
		if !complete {
			c.rest = append(c.rest[:0], data...)
			return n
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
			status, _, _ := bytes.Cut(head, []byte("\r\n"))
			l.fail(c, fmt.Errorf("%w: %s", ErrUpgrade, status))
			return n
		}
		data = rest
		l.advance(c)
	}
	now := l.clock.Now()
	var delivered, size uint64
	for c.state != dead {
		f, rest, complete := cutFrame(data)
		if !complete {
			break
		}
		data = rest
		size += uint64(len(f.payload))
		delivered += l.frame(c, f, now)
	}
	c.group.bytes.Add(size)
	c.group.delivered.Add(delivered)
	c.rest = append(c.rest[:0], data...)
	return n
}

// frame handles one frame and returns the number of deliveries in it.
func (l *Client) frame(c *conn, f frame, now int64) uint64 {
	switch f.opcode {
	case opPing:
		l.write(c, clientFrame(opPong, f.payload))
		return 0
	case opPong:
		return 0
	case opClose:
		l.fail(c, fmt.Errorf("%w: WebSocket close %q", ErrRefused, f.payload))
		return 0
	}
	if !f.final || f.opcode == opContinuation {
		c.message = append(c.message, f.payload...)
		if !f.final {
			return 0
		}
		n := l.text(c, c.message, now)
		c.message = nil
		return n
	}
	return l.text(c, f.payload, now)
}

// text handles one message and returns the number of deliveries in it. Once a connection is ready, it only searches for
// marks; a message without a mark is a keep-alive.
func (l *Client) text(c *conn, message []byte, now int64) (delivered uint64) {
	if c.state == ready {
		rest := message
		for {
			mark, after, ok := event.NextMark(rest)
			if !ok {
				break
			}
			l.deliver(c, mark, now)
			delivered++
			rest = after
		}
		if delivered > 0 {
			return delivered
		}
	}
	for record := range bytes.SplitSeq(message, []byte{l.dialect.Separator()}) {
		if mark, _, ok := event.NextMark(record); ok {
			l.deliver(c, mark, now)
			delivered++
			continue
		}
		if len(record) > 0 {
			l.record(c, record)
		}
	}
	return delivered
}

// record handles a record that is not a delivery.
func (l *Client) record(c *conn, record []byte) {
	r := l.dialect.Classify(record)
	switch r.Kind {
	case Ping:
		if pong := l.dialect.Pong(); pong != nil {
			l.write(c, clientFrame(opText, pong))
		}
	case Welcome:
		if c.state == greeting {
			l.advance(c)
			return
		}
		fallthrough
	case Subscribed:
		c.have += r.Topics
		if c.state == subscribing && c.have >= c.requested {
			l.subscribe(c)
		}
	case Refused:
		l.fail(c, fmt.Errorf("%w: %.200s", ErrRefused, record))
	case Other:
	}
}

// deliver counts one delivery.
func (l *Client) deliver(c *conn, mark event.Mark, now int64) {
	g := c.group
	slot := g.slot(c.base, mark.Topic)
	if slot < 0 {
		g.tally.foreign++
		return
	}
	switch c.sequences[slot].next(mark.Number) {
	case inOrder:
	case late:
		g.tally.late++
	case duplicate:
		g.tally.duplicates++
	}
	at := mark.At
	if c.frozen {
		at = now // what a slow client reads may be older than the measurement
	}
	if at >= l.from && at < l.until {
		g.latency.Add(now - mark.At)
	}
}

// write sends data. It keeps the bytes that the socket does not take yet.
func (l *Client) write(c *conn, data []byte) {
	if c.state == dead {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, data...)
		return
	}
	n, err := unix.Write(c.fd, data)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		l.fail(c, fmt.Errorf("write: %w", err))
		return
	}
	if n = max(n, 0); n < len(data) {
		c.out = append(c.out, data[n:]...)
		l.watch(c)
	}
}

// writable sends the bytes that write kept, or continues with a connection that has just been established.
func (l *Client) writable(c *conn) {
	if c.state == dialing {
		code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			l.fail(c, fmt.Errorf("connect: %w", err))
			return
		}
		l.advance(c)
	}
	if len(c.out) > 0 {
		data := c.out
		c.out = nil
		l.write(c, data)
	}
	if len(c.out) == 0 && c.state != dead {
		l.watch(c)
	}
}

// fail ends a connection.
func (l *Client) fail(c *conn, err error) {
	if c.state == dead {
		return
	}
	if c.state == ready {
		c.group.closed.Add(1)
	}
	c.state = dead
	c.rest, c.message, c.out = nil, nil, nil
	l.byFD[c.fd] = nil
	_ = unix.Close(c.fd)
	l.finish(c, err)
}
