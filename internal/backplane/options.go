package backplane

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// Decoder makes events of messages. *events.Ingress implements it.
type Decoder interface {
	// Decode reads an event to its end.
	Decode(data []byte) (events.Event, error)
	// DecodeIf reads an event to its end if its topic is wanted. ok is false if the topic is not.
	DecodeIf(data []byte, wanted func(events.Topic) bool) (ev events.Event, ok bool, err error)
	// Skim is DecodeIf, but an event with an unwanted topic still gets its topic, its Id and its Data.
	Skim(data []byte, wanted func(events.Topic) bool) (ev events.Event, ok bool, err error)
}

// catalogDecoder is the default Decoder. It reads every event to its end.
type catalogDecoder struct{ *events.Catalog }

func (d catalogDecoder) DecodeIf(data []byte, _ func(events.Topic) bool) (ev events.Event, ok bool, err error) {
	ev, err = d.Decode(data)
	return ev, err == nil, err
}

func (d catalogDecoder) Skim(data []byte, _ func(events.Topic) bool) (ev events.Event, ok bool, err error) {
	ev, err = d.Decode(data)
	return ev, true, err
}

// Options are what every backplane needs.
type Options struct {
	// Catalog decodes the events that this node publishes. Required.
	Catalog *events.Catalog
	// Decoder decodes those that arrive. nil: Catalog, which reads every event to its end.
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
