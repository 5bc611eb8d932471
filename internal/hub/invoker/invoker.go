package invoker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
)

const (
	// maxPlaces is the number of calls that a loop has at most: beyond it, reading calls together gains nothing more.
	maxPlaces = 32
	// restartPause is how long the places of a loop stay empty if it ended before it had a call: the next loop will
	// hardly find in order what stopped this one.
	restartPause = 100 * time.Millisecond
)

// Options configure an Invoker. Zero values stand for the defaults that the fields name.
type Options struct {
	// Places is the number of calls that run at once. Default: 32 per processor. Calls wait for directories and for
	// Redis, and calls that come together share the cost of one read of the library.
	Places int
	// Registerer receives the metrics. nil: none are kept.
	Registerer prometheus.Registerer
	// Logger receives what should not happen. nil: nothing is logged.
	Logger *zap.Logger
}

// Invoker runs a fixed number of calls at a time, on loops of the library that have several each. Its methods may be
// called from any goroutine.
type Invoker struct {
	places int
	logger *zap.Logger

	busy     prometheus.Gauge
	replaced prometheus.Counter

	// calls hands a call to a loop that has a place for it. Callers wait in the order in which they came.
	calls   chan *Call
	stopped chan struct{} // closed when Run has ended
	last    atomic.Uint64 // the id that was given to the latest call
}

// New makes an Invoker. Calls wait until Run.
func New(o Options) (*Invoker, error) {
	if o.Places < 0 {
		return nil, errors.New("invoker: Options.Places must not be negative")
	}
	if o.Places == 0 {
		o.Places = 32 * runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	auto := promauto.With(o.Registerer)
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_hub_pool_size",
		Help: "Invocations that can run at once.",
	}, func() float64 { return float64(o.Places) })
	return &Invoker{
		places: o.Places,
		logger: o.Logger,
		busy: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rte_hub_pool_busy",
			Help: "Invocations that run; when it stays at rte_hub_pool_size, others wait.",
		}),
		replaced: auto.NewCounter(prometheus.CounterOpts{
			Name: "rte_hub_pool_replaced_total",
			Help: "Loops of the library that ended by themselves and were replaced.",
		}),
		calls:   make(chan *Call),
		stopped: make(chan struct{}),
	}, nil
}

// Invoke runs a call and returns when it has ended. It waits for a place until ctx ends; then it waits for Run however
// long that takes.
func (i *Invoker) Invoke(ctx context.Context, c *Call) Outcome {
	c.id = strconv.FormatUint(i.last.Add(1), 10)
	c.done = make(chan struct{})
	select {
	case i.calls <- c:
		<-c.done
		return c.outcome
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return TimedOut
		}
		return Abandoned
	case <-i.stopped:
		return Failed
	}
}

// Run keeps the loops until ctx ends and the calls that they have begun have ended (H19). Calls that come later fail.
func (i *Invoker) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, places := range i.loops() {
		running.Go(func() { i.keep(ctx, places) })
	}
	running.Wait()
	close(i.stopped)
}

// loops returns the places of each loop: one loop per processor, more if those had too many places, with all places of
// the Invoker spread evenly over them.
func (i *Invoker) loops() []int {
	loops := make([]int, max(min(i.places, runtime.GOMAXPROCS(0)), (i.places+maxPlaces-1)/maxPlaces))
	for n := range i.places {
		loops[n%len(loops)]++
	}
	return loops
}

// keep runs a loop, and replaces it whenever it ends, until ctx ends (H20).
func (i *Invoker) keep(ctx context.Context, places int) {
	for {
		l := newLoop(i, places, ctx.Done())
		err := l.serve()
		if ctx.Err() != nil {
			return
		}
		i.replaced.Inc()
		// The library's errors quote what it read, so only the type is logged.
		i.logger.Warn("invoker loop replaced", zap.String("error_type", fmt.Sprintf("%T", err)))
		if l.hasWorked() {
			continue
		}
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
			return
		}
	}
}
