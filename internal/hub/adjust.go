package hub

import (
	"cmp"
	"time"
)

// resyncPace is how fast clients are notified of losses.
type resyncPace struct {
	window, closeWindow time.Duration
	rate                int
}

// SetLimits puts the limits of subscriptions and items into force, for the calls that begin from now on. It removes no
// subscription. It ignores the other limits.
func (h *Hub) SetLimits(limits Limits) {
	limits.setDefaults()
	h.limits.Store(&limits)
	h.quota.limit.Store(int64(limits.Quota))
}

// setDefaults replaces zero values of the limits that may change.
func (l *Limits) setDefaults() {
	l.Subscriptions = cmp.Or(l.Subscriptions, 10_000)
	l.Items = cmp.Or(l.Items, 2_000)
}

// SetResync replaces ResyncOptions.Window, CloseWindow and Rate, for the losses from now on. All must be above 0.
func (h *Hub) SetResync(window, closeWindow time.Duration, rate int) {
	h.resyncing.Store(&resyncPace{window, closeWindow, rate})
}

// closeRate returns the number of clients that may come back in a second.
func (h *Hub) closeRate() int {
	rate := h.resyncing.Load().rate
	if own := h.options.Resync.CloseRate; own > 0 {
		return min(own, rate)
	}
	return rate
}
