package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Expires returns the time after which an event is not delivered, the zero time for an event that never expires.
type Expires func(*events.Event) time.Time

// wrongKeyType is the reason of an event of a lane whose keys have the wrong type in Redis. A retry would hold up the
// events of other lanes behind it.
const wrongKeyType = "wrong_key_type"

// Take returns a function for Options.Take that publishes to a backplane. It decodes each event first, because the
// in-process backplane reads only the topic of an event without subscribers. It refuses events that have expired, which
// reach no client. expires may be nil: no event expires.
func Take(
	decoder backplane.Decoder, to backplane.Backplane, expires Expires,
) func(ctx context.Context, batch [][]byte) []error {
	return func(ctx context.Context, batch [][]byte) []error {
		errs, valid := validate(decoder, batch, expires)
		for i, err := range to.PublishBatch(ctx, valid.events) {
			errs[valid.places[i]] = err
		}
		for i, err := range errs {
			if reason, ok := events.ReasonOf(err); ok {
				errs[i] = Refused{Reason: reason.String()}
			} else if errors.Is(err, backplane.ErrWrongType) {
				errs[i] = Refused{Reason: wrongKeyType, Detail: err.Error()}
			}
		}
		return errs
	}
}

// subset has some events of a batch, and their indices in it.
type subset struct {
	events [][]byte
	places []int
}

// validate returns the valid events of a batch, and the errors of the others at their indices.
func validate(decoder backplane.Decoder, batch [][]byte, expires Expires) (errs []error, valid subset) {
	errs = make([]error, len(batch))
	valid = subset{make([][]byte, 0, len(batch)), make([]int, 0, len(batch))}
	for i, data := range batch {
		ev, err := decoder.Decode(data)
		if err == nil {
			err = refuseExpired(&ev, expires)
		}
		if errs[i] = err; err == nil {
			valid.events, valid.places = append(valid.events, data), append(valid.places, i)
		}
	}
	return errs, valid
}

// refuseExpired returns an error for an event that has expired.
func refuseExpired(ev *events.Event, expires Expires) error {
	if expires == nil {
		return nil
	}
	now := time.Now()
	if at := expires(ev); at.IsZero() || !now.After(at) {
		return nil
	}
	return Refused{"expired", ev.DescribeExpiry(now)}
}
