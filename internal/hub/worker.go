package hub

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/philippseith/signalr"
)

const (
	// recordSeparator ends a JSON message.
	recordSeparator = 0x1e
	// handshake opens the library's loop: always in JSON, whatever the client speaks (H13).
	handshake = `{"protocol":"json","version":1}` + "\x1e"
	// recordBytes is what an invocation has around its argument, with room to spare.
	recordBytes = 256
)

// errStopped is what the library reads when its worker is to end. It must not be io.EOF, on which the library
// reads again without end (H5).
var errStopped = errors.New("worker stopped")

// worker is one loop of the library and the connection in memory that it serves. The library's reader takes the calls
// out of the pool itself, the next one when the one before has ended (H9).
type worker struct {
	// Static once serve runs.
	pool *pool
	stop <-chan struct{}
	ctx  context.Context // of the library; it does not end with stop, so that a call can end first (H15, H19)

	// Owned by the library's reader.
	record []byte // buffer of the message that is being read
	unread []byte // rest of it
	busy   *call  // the call of that message

	mu       sync.Mutex // guards the following fields
	number   uint64     // of the current call, its id in the library
	current  *call      // nil once it is answered
	running  bool       // its method runs
	orphaned bool       // the loop has ended meanwhile: the method ends the call
	ended    bool       // the loop has ended
}

var _ signalr.Connection = (*worker)(nil)

// workerKey is the key of the worker in the context that the library hands to methods.
type workerKey struct{}

func newWorker(p *pool, stop <-chan struct{}) *worker {
	return &worker{pool: p, stop: stop, unread: []byte(handshake)}
}

// serve runs the loop until it ends, normally because stop is closed. The call that it had is then ended (H20).
func (w *worker) serve() error {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), workerKey{}, w))
	defer w.end()
	defer cancel() // frees the library's goroutines, its reader in Read among them
	w.ctx = ctx
	server, err := newLibrary(ctx, w.pool.options.Limits.ArgumentBytes+recordBytes)
	if err != nil {
		return err
	}
	return server.Serve(w)
}

// Read gives the library a part of a message: the handshake first and alone (H4), then one invocation after the other.
// It waits until there is one, holds no more than p takes (H6), and ends when the worker does.
func (w *worker) Read(p []byte) (n int, err error) {
	if len(w.unread) == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, w.unread)
	w.unread = w.unread[n:]
	return n, nil
}

// next waits for the end of the call before and takes the next one.
func (w *worker) next() error {
	if w.busy != nil {
		select {
		case <-w.busy.done:
		case <-w.ctx.Done():
			return errStopped
		}
		w.busy = nil
	}
	select {
	case c := <-w.pool.calls:
		return w.take(c)
	case <-w.stop:
		return errStopped
	case <-w.ctx.Done():
		return errStopped
	}
}

// take makes c the current call and writes its message.
func (w *worker) take(c *call) error {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		c.fail(outcomeFailed)
		return errStopped
	}
	w.pool.metrics.busy.Inc()
	w.number++
	w.current = c
	number := w.number
	w.mu.Unlock()

	b := append(w.record[:0], `{"type":1,"invocationId":"`...)
	b = strconv.AppendUint(b, number, 10)
	b = append(b, `","target":"`...)
	b = append(b, c.method.String()...)
	b = append(b, `","arguments":[`...)
	b = append(b, c.argument...)
	b = append(b, ']', '}', recordSeparator)
	w.busy, w.record, w.unread = c, b, b
	return nil
}

// Write takes a message of the library. It is called by several goroutines, keeps nothing of p and never waits (H1,
// H3). The completion of the current call ends that call; everything else is dropped: the answer to the handshake,
// pings, Close messages, second completions (H4, H10, H14, H15).
func (w *worker) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	c := w.current
	rest, ok := completionOf(p, w.number)
	if c == nil || !ok {
		w.mu.Unlock()
		return len(p), nil
	}
	w.current = nil
	w.mu.Unlock()
	w.pool.metrics.busy.Dec()
	c.complete(rest)
	return len(p), nil
}

// completionOf is what follows the id in the completion of an invocation, without the record separator. The library
// encodes the fields of a message in a fixed order.
func completionOf(record []byte, number uint64) (rest []byte, ok bool) {
	var prefix [48]byte
	b := append(prefix[:0], `{"type":3,"invocationId":"`...)
	b = strconv.AppendUint(b, number, 10)
	b = append(b, '"')
	rest, ok = bytes.CutPrefix(record, b)
	return bytes.TrimSuffix(rest, []byte{recordSeparator}), ok
}

// Context is the context of the library's loop. Methods find the worker in it.
func (w *worker) Context() context.Context { return w.ctx }

// ConnectionID is what the library calls the connection.
func (w *worker) ConnectionID() string { return "worker" }

// SetConnectionID does nothing: a worker is known by its context.
func (w *worker) SetConnectionID(string) {}

// begin is called by a method when it starts. It returns its call; nil if the loop has ended and the call with it.
func (w *worker) begin() *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = w.current != nil
	return w.current
}

// returned is called by a method when it ends.
func (w *worker) returned(c *call) {
	w.mu.Lock()
	w.running = false
	orphaned := w.orphaned
	w.mu.Unlock()
	if orphaned {
		w.pool.metrics.busy.Dec()
		c.fail(outcomeFailed)
	}
}

// end is called when the loop has ended. The call that it did not answer fails; if its method runs, then when that ends:
// until then it may still take what the failure gives back.
func (w *worker) end() {
	w.mu.Lock()
	c := w.current
	w.current, w.ended = nil, true
	w.orphaned = c != nil && w.running
	orphaned := w.orphaned
	w.mu.Unlock()
	if c != nil && !orphaned {
		w.pool.metrics.busy.Dec()
		c.fail(outcomeFailed)
	}
}
