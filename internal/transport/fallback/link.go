package fallback

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// mostWaiting is what a Link takes before it counts as full. As with what the kernel keeps for a socket, newer states
// can no longer replace those in it.
const mostWaiting = 32 << 10

// ErrEnded means that the client has ended the connection.
var ErrEnded = errors.New("the client has ended the connection")

// Link is the net.Conn of a connection without a WebSocket. The connection reads what Post hands in, and writes frames
// that a Receiver hands to the client. Any goroutine may call its methods; one at a time may read, and one may write.
type Link struct {
	net.Conn          // the end of a pipe at which the connection reads
	posts    net.Conn // the other end
	polled   bool     // requests fetch what waits; otherwise one request streams it

	mu       sync.Mutex // guards the following fields
	unframer unframer
	out      []byte // messages that wait for the client
	whole    int    // bytes of out that are complete messages
	receiver *Receiver
	left     time.Time // when the last Receiver left
	room     chan struct{}
	deadline time.Time // of Write
	ended    bool      // the client has ended the connection
	finished bool      // no request fetches anything any more
	closed   bool
}

// NewStream returns the Link of a connection whose messages one request streams as events.
func NewStream() *Link { return newLink(false) }

// NewPolled returns the Link of a connection whose messages requests of the client fetch.
func NewPolled() *Link { return newLink(true) }

func newLink(polled bool) *Link {
	l := &Link{polled: polled, unframer: unframer{events: !polled}, left: time.Now()}
	l.Conn, l.posts = net.Pipe()
	return l
}

// Polled reports whether requests of the client fetch what waits.
func (l *Link) Polled() bool { return l.polled }

// Post hands bytes of the client to the connection and returns when it has read them. After an error the connection has
// ended.
func (l *Link) Post(p []byte) error {
	_, err := l.posts.Write(p)
	return err
}

// Read reads what the client has posted. The error is ErrEnded after End, and io.EOF after Finish.
func (l *Link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if errors.Is(err, io.EOF) && l.hasEnded() {
		err = ErrEnded
	}
	return n, err
}

func (l *Link) hasEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// TryWrite takes frames for the client, all of p or, if it is full, nothing.
func (l *Link) TryWrite(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return 0, net.ErrClosed
	case l.whole >= mostWaiting:
		return 0, nil
	}
	l.addLocked(p)
	return len(p), nil
}

// Write takes frames for the client. It waits while the Link is full: up to the deadline, or, for a client that polls,
// until Close.
func (l *Link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.whole >= mostWaiting {
		room := make(chan struct{})
		l.room = room
		deadline := l.deadline
		l.mu.Unlock()
		err := l.awaitRoom(room, deadline)
		l.mu.Lock()
		if err != nil {
			return 0, err
		}
	}
	if l.closed {
		return 0, net.ErrClosed
	}
	l.addLocked(p)
	return len(p), nil
}

// awaitRoom waits until room is closed or the deadline has come.
func (l *Link) awaitRoom(room <-chan struct{}, deadline time.Time) error {
	if l.polled || deadline.IsZero() {
		<-room
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-room:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// SetWriteDeadline sets the deadline of the next calls of Write.
func (l *Link) SetWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	return nil
}

// addLocked adds the messages of frames.
func (l *Link) addLocked(p []byte) {
	l.out, l.whole = l.unframer.append(l.out, p, l.whole)
	l.notifyLocked()
}

// notifyLocked lets the Receiver look again.
func (l *Link) notifyLocked() {
	if l.receiver != nil {
		l.receiver.notify()
	}
}

// makeRoomLocked lets Write look again.
func (l *Link) makeRoomLocked() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// End ends the connection for the client: what waits is dropped, and Read returns ErrEnded. It returns false if the
// connection was over.
func (l *Link) End() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.finished || l.closed {
		return false
	}
	l.ended = true
	l.out, l.whole = nil, 0
	l.finishLocked()
	return true
}

// Finish makes Read return io.EOF: no request fetches anything any more.
func (l *Link) Finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finishLocked()
}

func (l *Link) finishLocked() {
	l.finished = true
	_ = l.posts.Close() // never fails
	l.notifyLocked()
}

// Over reports whether no request can use the Link any more.
func (l *Link) Over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finished || l.closed
}

// Close ends the Link at once. It may be called again.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.out, l.whole = nil, 0
	l.makeRoomLocked()
	l.finishLocked()
	return l.Conn.Close()
}

// Unpolled returns for how long no request of the client has waited.
func (l *Link) Unpolled(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver != nil {
		return 0
	}
	return now.Sub(l.left)
}
