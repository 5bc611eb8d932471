package ingest

import (
	"context"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Take publishes to a backplane. Every event is read by decoder first: in process, the backplane looks at no more than the
// topic of an event that nobody listens to.
func Take(decoder backplane.Decoder, to backplane.Backplane) func(ctx context.Context, batch [][]byte) []error {
	return func(ctx context.Context, batch [][]byte) []error {
		errs, valid := validate(decoder, batch)
		for i, err := range to.PublishBatch(ctx, valid.events) {
			errs[valid.places[i]] = err
		}
		for i, err := range errs {
			if reason, ok := events.ReasonOf(err); ok {
				errs[i] = Refused(reason.String())
			}
		}
		return errs
	}
}

// subset are some events of a batch, and their places in it.
type subset struct {
	events [][]byte
	places []int
}

// validate finds the events that are valid. The others have an error, each at its place.
func validate(decoder backplane.Decoder, batch [][]byte) (errs []error, valid subset) {
	errs = make([]error, len(batch))
	valid = subset{make([][]byte, 0, len(batch)), make([]int, 0, len(batch))}
	for i, data := range batch {
		if _, errs[i] = decoder.Decode(data); errs[i] == nil {
			valid.events, valid.places = append(valid.events, data), append(valid.places, i)
		}
	}
	return errs, valid
}
