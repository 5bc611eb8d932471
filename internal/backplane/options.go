package backplane

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

// Decoder decodes messages to events. *events.Ingress implements it.
type Decoder interface {
	// Decode decodes a whole event.
	Decode(data []byte) (events.Event, error)
	// Skim decodes a whole event if its topic is wanted. If it is not, ok is false, and the event has only its topic, its
	// Id and its Data.
	Skim(data []byte, wanted func(events.Topic) bool) (ev events.Event, ok bool, err error)
}

// catalogDecoder is the default Decoder. It decodes every event, wanted or not.
type catalogDecoder struct{ *events.Catalog }

func (d catalogDecoder) Skim(data []byte, _ func(events.Topic) bool) (ev events.Event, ok bool, err error) {
	ev, err = d.Decode(data)
	return ev, true, err
}

// Options configures any backplane.
type Options struct {
	// Catalog decodes the events that this node publishes. Required.
	Catalog *events.Catalog
	// Decoder decodes the events that arrive. Default: Catalog, which decodes every event, wanted or not.
	Decoder Decoder
	// Sink receives the events. Required.
	Sink Sink
	// Layout must be the same as that of the publishers.
	Layout Layout
	// SnapshotMemory bounds the retained states of all lanes, in bytes. Default: DefaultSnapshotMemory. Negative: the
	// backplane retains none.
	SnapshotMemory int
	// Trace records the messages that do not reach the sink. nil: nothing is recorded.
	Trace *trace.Log
	// Taps copy the events that do not reach the sink. nil: there are none.
	Taps *tap.Taps
	// Logger logs changes of the backplane's state. nil: it logs nothing.
	Logger *zap.Logger
	// Registerer receives the metrics. nil: they are not exported.
	Registerer prometheus.Registerer
}
