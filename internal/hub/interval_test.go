package hub_test

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/hub"
)

// An interval whose end was before its beginning covered no event: the clock of the node had been set back meanwhile.
func TestWiden_coversBothClocks(t *testing.T) {
	const span = 10 * time.Second
	first := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, set := range map[string]time.Duration{
		"not set":            0,
		"set forwards":       90 * time.Second,
		"set backwards":      -90 * time.Second,
		"set back a little":  -4 * time.Second,
		"set back very much": -time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			last := first.Add(span + set)
			from, to := hub.Widen(first, last, span)
			wantFrom, wantTo := first.Add(min(set, 0)), first.Add(span+max(set, 0))
			if !from.Equal(wantFrom) || !to.Equal(wantTo) {
				t.Errorf("from %s to %s, want %s to %s", from, to, wantFrom, wantTo)
			}
		})
	}
}
