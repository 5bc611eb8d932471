package hub

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// maxPlaces is how many calls a worker has at a time, at most: beyond that, to share a read gains nothing any more.
const maxPlaces = 32

// pool runs a fixed number of calls at a time, in workers that have several each.
type pool struct {
	options *Options
	metrics *metrics

	// calls hands over a call when a worker is free for it. Callers wait in the order in which they came.
	calls   chan *call
	stopped chan struct{} // closed when run has ended
	last    atomic.Uint64 // the id that a call was given last
}

func newPool(o *Options, m *metrics) *pool {
	return &pool{options: o, metrics: m, calls: make(chan *call), stopped: make(chan struct{})}
}

// do runs a call and returns when it has ended, however long the method takes: methods end with the call's context.
func (p *pool) do(c *call) {
	c.id = strconv.FormatUint(p.last.Add(1), 10)
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
	for _, places := range p.workers() {
		running.Go(func() { p.keep(ctx, places) })
	}
	running.Wait()
	close(p.stopped)
}

// restartPause is how long its places stay empty if a worker ended before it had a call: something is wrong then that
// the next worker will hardly find in order.
const restartPause = 100 * time.Millisecond

// workers are the places of each worker: one worker per processor, more if they had too many places, with all the places
// of the pool shared out among them.
func (p *pool) workers() []int {
	total := p.options.Pool
	workers := make([]int, max(min(total, runtime.GOMAXPROCS(0)), (total+maxPlaces-1)/maxPlaces))
	for i := range total {
		workers[i%len(workers)]++
	}
	return workers
}

// keep replaces a worker whenever its loop ends.
func (p *pool) keep(ctx context.Context, places int) {
	for {
		w := newWorker(p, places, ctx.Done())
		err := w.serve()
		if ctx.Err() != nil {
			return
		}
		p.metrics.replaced.Inc()
		// The library's errors quote what it was given, so only the type is told.
		p.options.Logger.Warn("worker replaced", zap.String("error_type", fmt.Sprintf("%T", err)))
		if !w.hasWorked() {
			select {
			case <-time.After(restartPause):
			case <-ctx.Done():
				return
			}
		}
	}
}
