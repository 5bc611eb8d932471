package console

import (
	"context"
	"sync"
)

// streams are the open answers without an end.
type streams struct {
	ctx     context.Context // ends with the node
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	ended bool // guarded by mu
}

func newStreams() *streams {
	s := &streams{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// begin counts a stream. done must follow. It returns false if the node stops.
func (s *streams) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.running.Add(1)
	}
	return !s.ended
}

func (s *streams) done() { s.running.Done() }

// end ends all streams and waits for them.
func (s *streams) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}
