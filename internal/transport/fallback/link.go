package fallback

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// mostWaiting is the number of bytes that a Link takes before it counts as full. Newer states cannot replace states in
// it, as in the kernel's buffer of a socket.
const mostWaiting = 32 << 10

// ErrEnded means that the client has ended the connection.
var ErrEnded = errors.New("the client has ended the connection")

// Link is the net.Conn of a connection without a WebSocket. The connection reads the bytes of Post, and writes frames
// that a Receiver hands to the client. Any goroutine may call its methods; one at a time may read, and one may write.
type Link struct {
	net.Conn               // the end of a pipe at which the connection reads
	posts    net.Conn      // the other end
	polled   bool          // requests fetch the waiting messages; otherwise one request streams them
	patience time.Duration // longest time between two polls of a client

	mu       sync.Mutex // guards the following fields
	unframer unframer
	out      []byte // messages that wait for the client
	whole    int    // bytes of out that are complete messages
	receiver *Receiver
	left     time.Time // when the last Receiver left
	room     chan struct{}
	deadline time.Time // of Write
	ended    bool      // the client has ended the connection
	finished bool      // no further request will fetch messages
	closed   bool
}

// NewStream returns the Link of a connection of ServerSentEvents.
func NewStream() *Link { return newLink(&Link{unframer: unframer{events: true}}) }

// NewPolled returns the Link of a connection of LongPolling. The client counts as lost if none of its requests waits
// here for the time patience.
func NewPolled(patience time.Duration) *Link {
	return newLink(&Link{polled: true, patience: patience, left: time.Now()})
}

func newLink(l *Link) *Link {
	l.Conn, l.posts = net.Pipe()
	return l
}

// Polled reports whether requests of the client fetch the waiting messages.
func (l *Link) Polled() bool { return l.polled }

// Post hands bytes of the client to the connection and returns when it has read them. After an error the connection has
// ended.
func (l *Link) Post(p []byte) error {
	_, err := l.posts.Write(p)
	return err
}

// Read reads the bytes that the client has posted. The error is ErrEnded after End, and io.EOF after Finish.
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

// TryWrite takes frames for the client: all of p, or no bytes if the Link is full.
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
// until the client is lost.
func (l *Link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.whole >= mostWaiting {
		deadline := l.deadline
		if l.polled {
			deadline = time.Now().Add(l.remainingLocked(time.Now()))
		}
		room := make(chan struct{})
		l.room = room
		l.mu.Unlock()
		late := !wait(room, deadline)
		l.mu.Lock()
		if late && (!l.polled || l.remainingLocked(time.Now()) <= 0) {
			return 0, os.ErrDeadlineExceeded
		}
	}
	if l.closed {
		return 0, net.ErrClosed
	}
	l.addLocked(p)
	return len(p), nil
}

// wait waits until a channel is closed, and returns false if the deadline comes before. The zero deadline never comes.
func wait(c <-chan struct{}, deadline time.Time) bool {
	if deadline.IsZero() {
		<-c
		return true
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
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

// End ends the connection for the client. It drops the waiting messages, and Read returns ErrEnded. It returns false if
// the connection was over.
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

// Finish makes Read return io.EOF: no further request will fetch messages.
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

// Remaining returns the time until a client that polls is lost.
func (l *Link) Remaining(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remainingLocked(now)
}

func (l *Link) remainingLocked(now time.Time) time.Duration {
	if l.receiver != nil {
		return l.patience
	}
	return l.patience - now.Sub(l.left)
}
