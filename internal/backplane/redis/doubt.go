package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
)

// reconnectGrace is how long the lanes of a connection that ended are not in doubt: most connections are replaced
// within that time, and then Acquire has a confirmation.
const reconnectGrace = 100 * time.Millisecond

// acquired waits until a lane is confirmed, or in doubt, which counts as acquired: its subscribers miss events only
// within a loss that is reported later. It returns an error if the server refuses the lane, or if ctx is canceled.
func (b *Backplane) acquired(ctx context.Context, l *lane) error {
	began := time.Now()
	for {
		done, changed, err := b.index.state(l)
		if done {
			return err
		}
		left := b.untilDoubt(l, began)
		if left <= 0 || b.index.continues(l) {
			b.accept(l)
			return nil
		}
		timer := time.NewTimer(min(left, reconnectGrace)) // the server may come into doubt before
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		switch err := ctx.Err(); {
		case errors.Is(err, context.DeadlineExceeded):
			b.accept(l)
			return nil
		case err != nil:
			return fmt.Errorf("%w: lane not confirmed: %w", backplane.ErrUnavailable, err)
		}
	}
}

// accept acquires a lane that is in doubt.
func (b *Backplane) accept(l *lane) {
	b.metrics.doubtful.Inc()
	b.index.promise(l, time.Now())
}

// untilDoubt returns how long the server of a lane may still be believed to confirm it: until a canary is overdue, or
// shortly after a connection has ended. began is when the caller began to wait.
func (b *Backplane) untilDoubt(l *lane, began time.Time) time.Duration {
	k := l.link.Load()
	if k == nil { // no server of the cluster has the lane
		return time.Until(began.Add(reconnectGrace))
	}
	lapsed := k.lapsed.Load()
	if lapsed == 0 && !k.healthy.Load() {
		lapsed = k.group.links[0].lapsed.Load() // the link waits for the first one
	}
	if lapsed > 0 {
		return time.Until(b.started.Add(time.Duration(lapsed) + reconnectGrace))
	}
	if !k.healthy.Load() {
		return b.options.ConfirmTimeout // the first connection is being made
	}
	return time.Until(b.started.Add(time.Duration(k.proof.Load()) + b.options.ProbeTimeout/2))
}

// continues reports whether the order of a lane goes on when it is subscribed again, so that it repairs or reports
// whatever was published in between. It does not of a lane that the server refused.
func (t *laneIndex) continues(l *lane) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return l.begun && !l.alone && l.state != unsubscribing
}

// promise records that a lane was acquired at a time, although it is not subscribed. The next join or refuse reports
// what its subscribers may have missed since.
func (t *laneIndex) promise(l *lane, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.state != subscribed && l.promised.IsZero() {
		l.promised = now
	}
}

// takePromiseLocked returns and clears when a lane was promised; zero: it was not.
func (l *lane) takePromiseLocked() (promised time.Time) {
	promised, l.promised, l.warned = l.promised, time.Time{}, false
	return promised
}

// warnLocked reports whether the subscribers of a lane that is refused must be notified, which is once until it is
// subscribed. from is since when they may have missed events; zero: not known.
func (l *lane) warnLocked() (from time.Time, must bool) {
	must = l.refs > 0 && l.handle == nil && !l.warned && (l.begun || !l.promised.IsZero())
	l.warned = l.warned || must
	return l.promised, must
}

// missed reports that events of a lane may have been missed since a time, beside those that its order knows about.
type missed struct{ from time.Time }

func (n missed) run(w *worker, _ *lane, now time.Time) {
	w.Lost(backplane.Loss{From: n.from, To: now, Reason: backplane.LossOutage})
}
