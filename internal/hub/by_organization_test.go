package hub

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/events"
)

func TestOrganizationCounter_isBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := newOrganizationCounter(promauto.With(reg), "rte_test_total", "Test.")
	for i := range 2 * maxCounted {
		c.count(events.ID{1, byte(i)})
	}
	c.count(events.ID{1, 0})
	if n := testutil.CollectAndCount(c.counters); n != maxCounted+1 {
		t.Errorf("%d series, want %d", n, maxCounted+1)
	}
	if n := testutil.ToFloat64(c.counters.WithLabelValues(events.ID{1, 0}.String())); n != 2 {
		t.Errorf("the first organization has %v, want 2", n)
	}
	if n := testutil.ToFloat64(c.counters.WithLabelValues("other")); n != maxCounted {
		t.Errorf("the rest has %v, want %d", n, maxCounted)
	}
}
