package directory

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// When a breaker opens, and for how long.
const (
	breakerFailures = 5
	breakerPause    = 3 * time.Second
)

// breaker keeps from a source that fails the questions that it would fail too. After some failures in a row it opens,
// for a pause; then one question may go through, and its answer closes the breaker or opens it again.
type breaker struct {
	logger *zap.Logger
	gauge  prometheus.Gauge // 1: open

	mu       sync.Mutex
	failures int       // guarded by mu: in a row
	open     bool      // guarded by mu
	retry    time.Time // guarded by mu: if open, when the next question may go through
}

func newBreaker(logger *zap.Logger, gauge prometheus.Gauge) *breaker {
	return &breaker{logger: logger, gauge: gauge}
}

// allow says whether a question may be asked. Who may, reports, or gives back what was allowed.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return true
	}
	now := time.Now()
	if now.Before(b.retry) {
		return false
	}
	b.retry = now.Add(breakerPause) // others wait for the answer to this one
	return true
}

// give gives back what allow allowed: the question was not asked.
func (b *breaker) give() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retry = time.Time{}
}

// report tells how the source answered.
func (b *breaker) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		if b.open {
			b.logger.Info("directory answers again")
		}
		b.failures, b.open = 0, false
		b.gauge.Set(0)
		return
	}
	b.failures++
	if b.failures < breakerFailures {
		return
	}
	if !b.open {
		b.logger.Warn("directory fails, what is not in the cache is unavailable", zap.Error(err))
	}
	b.open, b.retry = true, time.Now().Add(breakerPause)
	b.gauge.Set(1)
}
