package backplane

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// throttleInterval is how often a Throttle logs. What others send must not be able to fill the log.
const throttleInterval = 10 * time.Second

// Throttle logs a kind of warning at once, and then no more than once per interval with the number of those that
// were left out. It may be used from any goroutine.
type Throttle struct {
	log *zap.Logger

	mu      sync.Mutex
	last    time.Time // guarded by mu; zero: nothing was logged yet
	skipped int       // guarded by mu; warnings since then
}

// NewThrottle makes a Throttle that writes to log; nil: nowhere.
func NewThrottle(log *zap.Logger) *Throttle {
	if log == nil {
		log = zap.NewNop()
	}
	return &Throttle{log: log}
}

// Warn logs, or counts, a warning. fields is called only if it is logged.
func (t *Throttle) Warn(message string, fields func() []zap.Field) {
	now := time.Now()
	t.mu.Lock()
	if !t.last.IsZero() && now.Sub(t.last) < throttleInterval {
		t.skipped++
		t.mu.Unlock()
		return
	}
	skipped := t.skipped
	t.last, t.skipped = now, 0
	t.mu.Unlock()
	t.log.Warn(message, append(fields(), zap.Int("skipped", skipped))...)
}
