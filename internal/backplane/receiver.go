package backplane

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

// errForeign refuses an event that arrived on the lane of another organization. An access control list can confine a
// publisher to the lane of its organization; without this check the publisher could still send events of any other.
var errForeign = errors.New("event of another organization")

// Receiver decodes the messages that arrive on lanes. It drops and counts a message that is not an event of the lane's
// organization, and logs one such message per throttleInterval. Its methods may be called from any goroutine.
type Receiver struct {
	decoder Decoder
	sink    Sink
	log     *Throttle
	metrics *metrics
	trace   *trace.Log
	taps    *tap.Taps
}

// NewReceiver returns a Receiver and registers the metrics that all backplanes have.
func NewReceiver(o Options) *Receiver {
	decoder := o.Decoder
	if decoder == nil {
		decoder = catalogDecoder{o.Catalog}
	}
	return &Receiver{
		decoder: decoder,
		sink:    o.Sink,
		log:     NewThrottle(o.Logger),
		metrics: newMetrics(o.Registerer),
		trace:   o.Trace,
		taps:    o.Taps,
	}
}

// Decode decodes the JSON of a message, without its frame. It returns false if the message is refused.
func (r *Receiver) Decode(organization events.ID, data []byte) (events.Event, bool) {
	ev, err := r.decoder.Decode(data)
	ok := r.accepts(organization, &ev, data, err)
	return ev, ok
}

// Skim is Decode for events that are mostly not wanted. If wanted returns false for the topic, whole is false, and the
// event has only its topic, its Id and its Data.
func (r *Receiver) Skim(
	organization events.ID, data []byte, wanted func(events.Topic) bool,
) (ev events.Event, whole, ok bool) {
	ev, whole, err := r.decoder.Skim(data, wanted)
	ok = r.accepts(organization, &ev, data, err)
	return ev, whole, ok
}

// accepts reports whether the decoded event belongs to the organization. If not, it counts the refusal and clears ev.
func (r *Receiver) accepts(organization events.ID, ev *events.Event, data []byte, err error) bool {
	if err == nil && ev.Organization != organization {
		err = errForeign
	}
	if err != nil {
		r.count(organization, data, len(data), err)
		*ev = events.Event{}
	}
	return err == nil
}

// DecodeAgain is Decode for a message that may have been decoded before. It counts nothing.
func (r *Receiver) DecodeAgain(organization events.ID, data []byte) (events.Event, bool) {
	ev, err := r.decoder.Decode(data)
	if err != nil || ev.Organization != organization {
		return events.Event{}, false
	}
	return ev, true
}

// Arrived counts a message that came over a lane.
func (r *Receiver) Arrived() { r.metrics.received.Inc() }

// Unwanted records an event that the sink does not want, see Sink.Wants.
func (r *Receiver) Unwanted(ev *events.Event, now time.Time) {
	r.trace.Event(ev, now, trace.Unmatched, 0)
	r.taps.Event(ev, now, trace.Unmatched, 0)
}

// Dispatch hands an event to the sink.
func (r *Receiver) Dispatch(ev *events.Event) {
	r.metrics.dispatched.Inc()
	r.sink.Dispatch(ev)
}

// Offer hands an event to the sink unless the sink would have to wait. In that case it does nothing and returns false.
func (r *Receiver) Offer(ev *events.Event) bool {
	taken := r.sink.Offer(ev)
	if taken {
		r.metrics.dispatched.Inc()
	}
	return taken
}

// Refuse counts a message of size bytes that did not reach Decode: its frame is malformed (ErrFrame), or it is too
// large (events.ReasonTooLarge).
func (r *Receiver) Refuse(organization events.ID, size int, err error) {
	r.count(organization, nil, size, err)
}

func (r *Receiver) count(organization events.ID, data []byte, size int, err error) {
	reason := refusedFrame
	if errors.Is(err, errForeign) {
		reason = refusedForeign
	} else if why, ok := events.ReasonOf(err); ok {
		reason = why.String()
	}
	r.metrics.refused.WithLabelValues(reason).Inc()
	r.trace.Refused(organization, data, size, reason)
	r.log.Warn("message refused", func() []zap.Field {
		return []zap.Field{
			zap.Stringer("organization", organization), zap.String("reason", reason), zap.Int("bytes", size),
		}
	})
}
