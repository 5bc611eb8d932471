package backplane

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// Options are what every backplane needs.
type Options struct {
	// Catalog decodes the events. Required.
	Catalog *events.Catalog
	// Sink receives them. Required.
	Sink Sink
	// Layout must be that of the publishers.
	Layout Layout
	// Logger is told what happens to the backplane. nil: nothing is logged.
	Logger *zap.Logger
	// Registerer has the metrics. nil: they are counted and not shown.
	Registerer prometheus.Registerer
}
