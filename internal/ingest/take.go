package ingest

import (
	"context"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Take returns a function for Options.Take that publishes to a backplane. It decodes each event first, because the
// in-process backplane reads only the topic of an event without subscribers.
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

// subset has some events of a batch, and their indices in it.
type subset struct {
	events [][]byte
	places []int
}

// validate returns the valid events of a batch, and the errors of the others at their indices.
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
