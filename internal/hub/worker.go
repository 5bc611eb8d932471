package hub

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
	// recordBytes is the most that the message of a call has.
	recordBytes = 128
)

// errStopped is what the library reads when its worker is to end. It must not be io.EOF, on which the library
// reads again without end (H5).
var errStopped = errors.New("worker stopped")

// worker is one loop of the library and the connection in memory that it serves. The library's reader takes the calls
// out of the pool itself, as many as the worker has places for (H9): what the library does once per read, 32 KB of
// buffer and three goroutines to wake, was a fifth of a call when each was read alone.
type worker struct {
	// Static once serve runs.
	pool   *pool
	stop   <-chan struct{}
	ctx    context.Context // of the library; it does not end with stop, so that calls can end first (H15, H19)
	places chan struct{}   // holds one for each call that the worker has

	// Owned by the library's reader.
	records []byte // buffer of the messages that are being read
	unread  []byte // rest of them

	mu     sync.Mutex       // guards the following fields
	tasks  map[string]*task // by the id of the call
	worked bool             // the worker has had a call
	ended  bool             // the loop has ended
}

// task is a call that a worker has and that is not answered yet. The worker's mutex guards it.
type task struct {
	call    *call
	running bool // its method runs: if the loop ends meanwhile, the method ends the call
}

var _ signalr.Connection = (*worker)(nil)

// workerKey is the key of the worker in the context that the library hands to methods.
type workerKey struct{}

// newWorker makes a worker for so many calls at a time.
func newWorker(p *pool, places int, stop <-chan struct{}) *worker {
	return &worker{pool: p, stop: stop, places: make(chan struct{}, places), unread: []byte(handshake), tasks: map[string]*task{}}
}

// serve runs the loop until it ends, normally because stop is closed. The calls that it had are then ended (H20).
func (w *worker) serve() error {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), workerKey{}, w))
	defer w.end()
	defer cancel() // frees the library's goroutines, its reader in Read among them
	w.ctx = ctx
	server, err := newLibrary(ctx, cap(w.places)*recordBytes)
	if err != nil {
		return err
	}
	return server.Serve(w)
}

// Read gives the library a part of its messages: the handshake first and alone (H4), then invocations. It waits until there
// is one, holds no more than p takes (H6), and ends when the worker does.
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

// next takes the calls that wait in the pool, at least one and no more than there are places for.
func (w *worker) next() error {
	w.records = w.records[:0]
	if !w.occupy() {
		return errStopped
	}
	select {
	case c := <-w.pool.calls:
		w.take(c)
	case <-w.stop:
		w.vacate()
		w.drain()
		return errStopped
	case <-w.ctx.Done():
		w.vacate()
		return errStopped
	}
	runtime.Gosched() // others who are about to call join in
	for w.takeAnother() {
	}
	w.unread = w.records
	if len(w.unread) == 0 {
		return errStopped
	}
	return nil
}

// occupy waits for a place; false: the loop ends first.
func (w *worker) occupy() bool {
	select {
	case w.places <- struct{}{}:
		return true
	case <-w.ctx.Done():
		return false
	}
}

func (w *worker) vacate() { <-w.places }

// takeAnother takes a call if one waits and there is a place for it.
func (w *worker) takeAnother() bool {
	select {
	case w.places <- struct{}{}:
	default:
		return false
	}
	select {
	case c := <-w.pool.calls:
		w.take(c)
		return true
	default:
		w.vacate()
		return false
	}
}

// drain waits until all calls have ended.
func (w *worker) drain() {
	occupied := 0
	for occupied < cap(w.places) && w.occupy() {
		occupied++
	}
	for range occupied {
		w.vacate()
	}
}

// take makes c a call of the worker, which has a place for it, and writes its message.
func (w *worker) take(c *call) {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		w.vacate()
		c.fail(outcomeFailed)
		return
	}
	w.pool.metrics.busy.Inc()
	w.worked = true
	w.tasks[c.id] = &task{call: c}
	w.mu.Unlock()

	b := append(w.records, `{"type":1,"invocationId":"`...)
	b = append(b, c.id...)
	b = append(b, `","target":"`...)
	b = append(b, c.method.String()...)
	b = append(b, `","arguments":["`...)
	b = append(b, c.id...)
	w.records = append(b, '"', ']', '}', recordSeparator)
}

// Write takes a message of the library. It is called by several goroutines, keeps nothing of p and never waits (H1,
// H3). The completion of a call ends that call; everything else is dropped: the answer to the handshake, pings, Close
// messages, second completions (H4, H10, H14, H15).
func (w *worker) Write(p []byte) (n int, err error) {
	id, rest, ok := completionOf(p)
	if !ok {
		return len(p), nil
	}
	w.mu.Lock()
	t := w.tasks[string(id)]
	if t == nil {
		w.mu.Unlock()
		return len(p), nil
	}
	w.removeLocked(t)
	w.mu.Unlock()
	t.call.complete(rest)
	return len(p), nil
}

// completionOf is the id in the completion of an invocation and what follows it, without the record separator. The library
// encodes the fields of a message in a fixed order.
func completionOf(record []byte) (id, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(record, []byte(`{"type":3,"invocationId":"`))
	if !ok {
		return nil, nil, false
	}
	id, rest, ok = bytes.Cut(rest, []byte{'"'})
	return id, bytes.TrimSuffix(rest, []byte{recordSeparator}), ok
}

// Context is the context of the library's loop. Methods find the worker in it.
func (w *worker) Context() context.Context { return w.ctx }

// ConnectionID is what the library calls the connection.
func (w *worker) ConnectionID() string { return "worker" }

// SetConnectionID does nothing: a worker is known by its context.
func (w *worker) SetConnectionID(string) {}

// begin is called by a method when it starts. It returns its call; nil if the loop has ended and the call with it.
func (w *worker) begin(id string) *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tasks[id]
	if t == nil {
		return nil
	}
	t.running = true
	return t.call
}

// returned is called by a method when it ends.
func (w *worker) returned(c *call) {
	w.mu.Lock()
	t := w.tasks[c.id]
	orphaned := t != nil && w.ended
	switch {
	case orphaned:
		w.removeLocked(t)
	case t != nil:
		t.running = false
	}
	w.mu.Unlock()
	if orphaned {
		c.fail(outcomeFailed)
	}
}

// end is called when the loop has ended. The calls that it did not answer fail; those whose methods run, when these end:
// until then they may still take what the failure gives back.
func (w *worker) end() {
	var failed []*call
	w.mu.Lock()
	w.ended = true
	for _, t := range w.tasks {
		if !t.running {
			w.removeLocked(t)
			failed = append(failed, t.call)
		}
	}
	w.mu.Unlock()
	for _, c := range failed {
		c.fail(outcomeFailed)
	}
}

// hasWorked says whether the worker has had a call.
func (w *worker) hasWorked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.worked
}

// removeLocked ends what the worker has to do with a call. It needs mu.
func (w *worker) removeLocked(t *task) {
	delete(w.tasks, t.call.id)
	w.pool.metrics.busy.Dec()
	w.vacate() // does not wait: the place was taken
}
