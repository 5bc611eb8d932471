package hub

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/events"
)

// maxCounted bounds the organizations that a counter names. Further ones count as "other".
const maxCounted = 100

// organizationCounter counts rare events by organization. Any goroutine may use it.
type organizationCounter struct {
	counters *prometheus.CounterVec

	mu    sync.Mutex
	named map[events.ID]prometheus.Counter // guarded by mu
}

func newOrganizationCounter(auto promauto.Factory, name, help string) *organizationCounter {
	c := &organizationCounter{
		counters: auto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"organization"}),
		named:    map[events.ID]prometheus.Counter{},
	}
	c.counters.WithLabelValues("other")
	return c
}

func (c *organizationCounter) count(organization events.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counter := c.named[organization]
	switch {
	case counter != nil:
	case len(c.named) < maxCounted:
		counter = c.counters.WithLabelValues(organization.String())
		c.named[organization] = counter
	default:
		counter = c.counters.WithLabelValues("other")
	}
	counter.Inc()
}
