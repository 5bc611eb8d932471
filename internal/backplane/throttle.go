package backplane

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// throttleInterval is the time between two lines of a Throttle. Others must not be able to fill the log.
const throttleInterval = 10 * time.Second

// Throttle logs the first warning of a kind at once and then at most one per interval, with the number of warnings that
// it skipped. Any goroutine may use it.
type Throttle struct {
	log *zap.Logger

	mu      sync.Mutex
	last    time.Time // guarded by mu; zero: it has not logged yet
	skipped int       // guarded by mu; warnings since last
}

// NewThrottle returns a Throttle that writes to log. With nil it writes nothing.
func NewThrottle(log *zap.Logger) *Throttle {
	if log == nil {
		log = zap.NewNop()
	}
	return &Throttle{log: log}
}

// Warn logs or skips a warning. It calls fields only if it logs.
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
