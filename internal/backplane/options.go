package backplane

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// Decoder makes events of messages. *events.Catalog and *events.Ingress do.
type Decoder interface {
	Decode(data []byte) (events.Event, error)
}

// skimmer is a Decoder that does not read events to their end which nobody wants. *events.Ingress is.
type skimmer interface {
	DecodeIf(data []byte, wanted func(events.Topic) bool) (ev events.Event, ok bool, err error)
	Skim(data []byte, wanted func(events.Topic) bool) (ev events.Event, ok bool, err error)
}

// Options are what every backplane needs.
type Options struct {
	// Catalog decodes the events that this node publishes. Required.
	Catalog *events.Catalog
	// Decoder decodes those that arrive. nil: Catalog.
	Decoder Decoder
	// Sink receives them. Required.
	Sink Sink
	// Layout must be that of the publishers.
	Layout Layout
	// SnapshotMemory is how many bytes of the latest state events are kept, of all lanes together; negative: none.
	// Default: DefaultSnapshotMemory.
	SnapshotMemory int
	// Logger is told what happens to the backplane. nil: nothing is logged.
	Logger *zap.Logger
	// Registerer has the metrics. nil: they are counted and not shown.
	Registerer prometheus.Registerer
}
