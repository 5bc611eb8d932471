package logsink

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// Capacity is the number of bytes that may wait for a Sink: some 15,000 lines.
	Capacity = 4 << 20
	// syncTimeout bounds Sync. Loggers call it before a panic or an exit.
	syncTimeout = 500 * time.Millisecond
	// keptBuffer is the size up to which an empty buffer is reused.
	keptBuffer = 64 << 10
)

// errLeft is the error of a Sink whose writer has not taken all lines in time.
var errLeft = errors.New("log lines are left")

// Sink is a writer for whole lines that never blocks and never fails. A goroutine writes the lines to another writer,
// in order. When that writer does not keep up and Capacity bytes wait, further lines are dropped. Lines that the writer
// refuses are dropped, too. Metrics of the owner count dropped lines by Dropped.
//
// Its methods may be called from any goroutine, but not after Close.
type Sink struct {
	out     io.Writer
	work    wakeup.Signal
	ended   chan struct{} // closed when the goroutine has ended
	dropped atomic.Int64

	mu      sync.Mutex
	waiting []byte        // guarded by mu: lines that the goroutine has not taken
	writing int           // guarded by mu: bytes that the goroutine is writing
	idle    chan struct{} // guarded by mu: closed when nothing is left; nil if no caller waits for that
	closed  bool          // guarded by mu
}

// Start starts the goroutine of a Sink. The caller must call Close.
func Start(out io.Writer) *Sink {
	s := &Sink{out: out, work: wakeup.New(), ended: make(chan struct{})}
	go s.run()
	return s
}

// Write queues one or several whole lines, or drops them. It copies p and always returns len(p) and no error.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	fits := !s.closed && len(s.waiting)+s.writing+len(p) <= Capacity
	if fits {
		s.waiting = append(s.waiting, p...)
	}
	s.mu.Unlock()
	if fits {
		s.work.Set()
	} else {
		s.drop(p)
	}
	return len(p), nil
}

// Sync waits until all lines are written, for half a second at most. Its error is nil only if they are.
func (s *Sink) Sync() error { return s.flush(syncTimeout) }

// Close writes the lines that wait, for limit at most, and ends the goroutine. If the writer is stuck by then, Close
// abandons it, counts the lines that are left as dropped and returns an error: the process should end.
func (s *Sink) Close(limit time.Duration) error {
	err := s.flush(limit)
	s.mu.Lock()
	s.closed = true
	s.drop(s.waiting)
	s.waiting = nil
	s.mu.Unlock()
	s.work.Set()
	if err == nil {
		<-s.ended
	}
	return err
}

// Dropped returns the number of lines that were dropped.
func (s *Sink) Dropped() int64 { return s.dropped.Load() }

// Waiting returns the number of bytes that wait to be written.
func (s *Sink) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) + s.writing
}

func (s *Sink) drop(lines []byte) { s.dropped.Add(int64(bytes.Count(lines, []byte{'\n'}))) }

// flush waits until nothing is left, or until the limit.
func (s *Sink) flush(limit time.Duration) error {
	s.mu.Lock()
	if len(s.waiting)+s.writing == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
		return errLeft
	}
}

// run writes lines until Close.
func (s *Sink) run() {
	defer close(s.ended)
	var lines []byte
	cut := false // the writer has taken a part of a line
	for {
		var closed bool
		if lines, closed = s.take(lines); len(lines) == 0 {
			if closed {
				return
			}
			<-s.work.C()
			continue
		}
		if cut {
			_, _ = s.out.Write([]byte{'\n'}) // the next write reports a writer that fails
		}
		n, err := s.out.Write(lines)
		if err != nil {
			s.drop(lines[n:])
			cut = n > 0 && lines[n-1] != '\n' || n == 0 && cut
		} else {
			cut = false
		}
	}
}

// take returns the lines that wait and keeps the memory of written for the next ones. After it, the bytes of written no
// longer count.
func (s *Sink) take(written []byte) (lines []byte, closed bool) {
	if cap(written) > keptBuffer {
		written = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, s.waiting = s.waiting, written[:0]
	s.writing = len(lines)
	if s.writing == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	return lines, s.closed
}
