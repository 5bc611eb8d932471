package transport

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// firstHold is the hold after the first failure of a user. It doubles with each further failure, up to Timeouts.Hold.
	firstHold = 250 * time.Millisecond
	// failureMemory is how long a user without a new failure is remembered.
	failureMemory = time.Minute
	// maxFailing bounds the users that are remembered. Beyond it any one of them is forgotten.
	maxFailing = 10_000
	// maxHeld bounds the requests that are held at once. Further ones get 503.
	maxHeld = 1_000
)

// backoff slows down clients that fail in the same way each time they connect: they send a message that is too large,
// malformed or of an unknown protocol, get an error that lets them reconnect, and send it again at once. The stock
// JavaScript client did so 170 times a second. The next negotiate or upgrade of the user is held for a moment, which
// grows with each failure. Any goroutine may use it.
type backoff struct {
	longest time.Duration // hold; static

	mu      sync.Mutex // guards the following fields
	failing map[organizationUser]failures
	swept   time.Time // when users without new failures were forgotten
	held    int
}

// failures are the latest failures of a user.
type failures struct {
	count int
	last  time.Time
}

// failed records a failure of a user and returns how many there were lately.
func (b *backoff) failed(user organizationUser, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, known := b.failing[user]
	if now.Sub(f.last) > failureMemory {
		f.count = 0
	}
	if !known && len(b.failing) >= maxFailing {
		b.forgetLocked(now)
	}
	if b.failing == nil {
		b.failing = map[organizationUser]failures{}
	}
	f.count, f.last = f.count+1, now
	b.failing[user] = f
	return f.count
}

// forgetLocked makes room for another user. It looks for users without new failures once in failureMemory only, so that
// a flood of failures costs little.
func (b *backoff) forgetLocked(now time.Time) {
	if now.Sub(b.swept) > failureMemory {
		b.swept = now
		for user, f := range b.failing {
			if now.Sub(f.last) > failureMemory {
				delete(b.failing, user)
			}
		}
	}
	for user := range b.failing {
		if len(b.failing) < maxFailing {
			return
		}
		delete(b.failing, user)
	}
}

// wait returns how long the next request of a user has to be held.
func (b *backoff) wait(user organizationUser, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, known := b.failing[user]
	if !known {
		return 0
	}
	hold := min(firstHold<<min(f.count-1, 16), b.longest)
	return max(hold-now.Sub(f.last), 0)
}

// enter reports whether there is room to hold another request. If so, the caller must call leave.
func (b *backoff) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held >= maxHeld {
		return false
	}
	b.held++
	return true
}

func (b *backoff) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
}

// failed records that a client failed in a way that it will repeat, and logs the 4th, 8th, 16th, ... failure of its
// user.
func (h *Handler) failed(user organizationUser, reason string) {
	count := h.backoff.failed(user, time.Now())
	h.metrics.failures.Inc()
	if count >= 4 && count&(count-1) == 0 {
		h.log.Warn("client repeats a message that ends its connection", zap.String("reason", reason),
			zap.Int("failures", count), zap.Stringer("user", user.user), zap.Stringer("organization", user.organization))
	}
}

// hold delays a request of a user whose connections failed lately. It returns false if the request must be refused.
func (h *Handler) hold(ctx context.Context, user organizationUser) bool {
	wait := h.backoff.wait(user, time.Now())
	if wait == 0 {
		return true
	}
	if !h.backoff.enter() {
		return false
	}
	defer h.backoff.leave()
	h.metrics.held.Inc()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-h.drained:
	}
	return true
}
