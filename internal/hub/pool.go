package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// pool runs calls in a fixed number of workers.
type pool struct {
	options *Options
	metrics *metrics

	// calls hands over a call when a worker is free for it. Callers wait in the order in which they came.
	calls   chan *call
	stopped chan struct{} // closed when run has ended
}

func newPool(o *Options, m *metrics) *pool {
	return &pool{options: o, metrics: m, calls: make(chan *call), stopped: make(chan struct{})}
}

// do runs a call and returns when it has ended, however long the method takes: methods end with the call's context.
func (p *pool) do(c *call) {
	c.done = make(chan struct{})
	select {
	case p.calls <- c:
		<-c.done
	case <-c.ctx.Done():
		how := outcomeAbandoned
		if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
			how = outcomeTimeout
		}
		c.fail(how)
	case <-p.stopped:
		c.fail(outcomeFailed)
	}
}

// run keeps the workers until ctx ends and what they have begun has ended.
func (p *pool) run(ctx context.Context) {
	var running sync.WaitGroup
	for range p.options.Pool {
		running.Go(func() { p.keep(ctx) })
	}
	running.Wait()
	close(p.stopped)
}

// restartPause is how long a place stays empty if its worker ended before it had a call: something is wrong then that
// the next worker will hardly find in order.
const restartPause = 100 * time.Millisecond

// keep replaces the worker of one place whenever its loop ends.
func (p *pool) keep(ctx context.Context) {
	for {
		w := newWorker(p, ctx.Done())
		err := w.serve()
		if ctx.Err() != nil {
			return
		}
		p.metrics.replaced.Inc()
		// The library's errors quote what it was given, so only the type is told.
		p.options.Logger.Warn("worker replaced", zap.String("error_type", fmt.Sprintf("%T", err)))
		if w.number == 0 {
			select {
			case <-time.After(restartPause):
			case <-ctx.Done():
				return
			}
		}
	}
}
