package events_test

import (
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

func TestEvent_expires(t *testing.T) {
	noon := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		ttl       int
		timestamp time.Time
		now       time.Time
		want      bool
	}{
		"Fresh":               {60, noon, noon, false},
		"AtTheEnd":            {60, noon, noon.Add(65 * time.Second), false},
		"AfterTheEnd":         {60, noon, noon.Add(65*time.Second + 1), true},
		"FromTheFuture":       {60, noon, noon.Add(-time.Hour), false},
		"NeverExpires":        {-1, noon, noon.AddDate(50, 0, 0), false},
		"TTLOfZero":           {0, noon, noon.Add(6 * time.Second), true},
		"TTLOfZeroWithinSkew": {0, noon, noon.Add(5 * time.Second), false},
		"WithoutTimestamp":    {60, time.Time{}, noon, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ev := events.Event{TTLSeconds: tc.ttl, Timestamp: tc.timestamp}
			if got := ev.Expired(tc.now, 5*time.Second); got != tc.want {
				t.Errorf("got %v, want %v; expires at %v", got, tc.want, ev.Expires(5*time.Second))
			}
		})
	}
}
