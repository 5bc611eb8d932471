package invoker

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/philippseith/signalr"
)

const (
	// recordSeparator ends a JSON message.
	recordSeparator = 0x1e
	// handshake opens the library's loop: always in JSON, whatever the client speaks (H13).
	handshake = `{"protocol":"json","version":1}` + "\x1e"
	// completionStart begins every completion. The library encodes the fields of a message in a fixed order.
	completionStart = `{"type":3,"invocationId":`
	// messageBytes is the size of the largest message of a call.
	messageBytes = 128
)

// errStopped is what the library reads when its loop is to end. It must not be io.EOF, on which the library reads
// again without end (H5).
var errStopped = errors.New("loop stopped")

// loop is one loop of the library and the connection in memory that it serves. The library's reader takes the calls
// from the Invoker itself, as many as the loop has places for (H9): one read of the library costs 32 KB of buffer and
// wakes three goroutines, which was a fifth of a call when each call was read alone.
type loop struct {
	// Static once serve runs.
	invoker *Invoker
	stop    <-chan struct{}
	ctx     context.Context // of the library; it does not end with stop, so that calls can end first (H15, H19)
	places  chan struct{}   // holds one element for each call that the loop has

	// Owned by the library's reader.
	messages []byte // buffer of the messages that are being read
	unread   []byte // rest of them

	mu     sync.Mutex       // guards the following fields
	calls  map[string]*Call // those that are not answered yet, by their own id
	worked bool             // the loop has had a call
	ended  bool             // the loop has ended
}

var _ signalr.Connection = (*loop)(nil)

// newLoop makes a loop with so many places.
func newLoop(i *Invoker, places int, stop <-chan struct{}) *loop {
	return &loop{
		invoker: i, stop: stop, places: make(chan struct{}, places), unread: []byte(handshake), calls: map[string]*Call{},
	}
}

// serve runs the loop until it ends, normally because stop is closed. The calls that it still had fail (H20).
func (l *loop) serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer l.end()
	defer cancel() // frees the library's goroutines, its reader in Read among them
	l.ctx = ctx
	server, err := newServer(ctx, l, cap(l.places)*messageBytes)
	if err != nil {
		return err
	}
	return server.Serve(l)
}

// Read gives the library a part of its messages: the handshake first and alone (H4), then invocations. It waits until
// there is one, returns no more than p takes (H6), and fails when the loop is to end.
func (l *loop) Read(p []byte) (n int, err error) {
	if len(l.unread) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, l.unread)
	l.unread = l.unread[n:]
	return n, nil
}

// next takes the calls that wait, at least one and no more than there are places for.
func (l *loop) next() error {
	l.messages = l.messages[:0]
	if !l.occupy() {
		return errStopped
	}
	select {
	case c := <-l.invoker.calls:
		l.take(c)
	case <-l.stop:
		l.vacate()
		l.drain()
		return errStopped
	case <-l.ctx.Done():
		l.vacate()
		return errStopped
	}
	runtime.Gosched() // other callers that are ready join this read
	for l.takeAnother() {
	}
	l.unread = l.messages
	if len(l.unread) == 0 {
		return errStopped
	}
	return nil
}

// occupy waits for a place and reports whether it got one before the loop ended.
func (l *loop) occupy() bool {
	select {
	case l.places <- struct{}{}:
		return true
	case <-l.ctx.Done():
		return false
	}
}

func (l *loop) vacate() { <-l.places }

// takeAnother takes a call if one waits and there is a place for it, and reports whether it did.
func (l *loop) takeAnother() bool {
	select {
	case l.places <- struct{}{}:
	default:
		return false
	}
	select {
	case c := <-l.invoker.calls:
		l.take(c)
		return true
	default:
		l.vacate()
		return false
	}
}

// drain waits until all calls have ended.
func (l *loop) drain() {
	occupied := 0
	for occupied < cap(l.places) && l.occupy() {
		occupied++
	}
	for range occupied {
		l.vacate()
	}
}

// take makes c a call of the loop, which has a place for it, and writes its message.
func (l *loop) take(c *Call) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		l.vacate()
		c.fail(Failed)
		return
	}
	l.invoker.busy.Inc()
	l.worked = true
	l.calls[c.id] = c
	l.mu.Unlock()

	b := append(l.messages, `{"type":1,"invocationId":"`...)
	b = append(b, c.id...)
	b = append(b, `","target":"`+targetMethod+`","arguments":["`...)
	b = append(b, c.id...)
	l.messages = append(b, '"', ']', '}', recordSeparator)
}

// Write takes a message of the library. Several goroutines call it; it keeps nothing of p and never waits (H1, H3). The
// completion of a call ends that call. Everything else is dropped: the answer to the handshake, pings, Close messages,
// second completions (H4, H10, H14, H15).
func (l *loop) Write(p []byte) (n int, err error) {
	id, rest, ok := completionOf(p)
	if !ok {
		return len(p), nil
	}
	l.mu.Lock()
	c := l.calls[string(id)]
	if c != nil {
		l.removeLocked(c)
	}
	l.mu.Unlock()
	if c != nil {
		c.complete(rest)
	}
	return len(p), nil
}

// completionOf returns the invocation id in a completion and what follows it, without the record separator.
func completionOf(message []byte) (id, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(message, []byte(completionStart+`"`))
	if !ok {
		return nil, nil, false
	}
	id, rest, ok = bytes.Cut(rest, []byte{'"'})
	return id, bytes.TrimSuffix(rest, []byte{recordSeparator}), ok
}

// Context returns the context of the loop.
func (l *loop) Context() context.Context { return l.ctx }

// ConnectionID returns the name of the connection in the library, which nothing uses.
func (l *loop) ConnectionID() string { return "loop" }

// SetConnectionID does nothing.
func (l *loop) SetConnectionID(string) {}

// begin marks the call with an id as running and returns it. It returns nil if the call has ended, with the loop.
func (l *loop) begin(id string) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[id]
	if c != nil {
		c.running = true
	}
	return c
}

// returned marks a call as no longer running. If the loop has ended meanwhile, the call fails.
func (l *loop) returned(c *Call) {
	l.mu.Lock()
	mine := l.calls[c.id] == c
	orphaned := mine && l.ended
	switch {
	case orphaned:
		l.removeLocked(c)
	case mine:
		c.running = false
	}
	l.mu.Unlock()
	if orphaned {
		c.fail(Failed)
	}
}

// end fails the calls that the loop did not answer. Those that run fail when they return: until then they may still
// take what their failure gives back.
func (l *loop) end() {
	var failed []*Call
	l.mu.Lock()
	l.ended = true
	for _, c := range l.calls {
		if !c.running {
			l.removeLocked(c)
			failed = append(failed, c)
		}
	}
	l.mu.Unlock()
	for _, c := range failed {
		c.fail(Failed)
	}
}

// hasWorked reports whether the loop has had a call.
func (l *loop) hasWorked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.worked
}

// removeLocked forgets a call and frees its place. It needs mu.
func (l *loop) removeLocked(c *Call) {
	delete(l.calls, c.id)
	l.invoker.busy.Dec()
	l.vacate() // does not wait: the place was taken
}
