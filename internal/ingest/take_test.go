package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/ingest"
)

// decoder decodes every event.
type decoder struct{ *events.Catalog }

// Skim implements backplane.Decoder.
func (d decoder) Skim(data []byte, _ func(events.Topic) bool) (ev events.Event, whole bool, err error) {
	ev, err = d.Decode(data)
	return ev, true, err
}

// The backplane would publish an event that has expired. No client would receive it, and its publisher would not learn
// of that.
func TestTake_publishesValidEventsOnly(t *testing.T) {
	published := backplanetest.NewRecorder()
	to := backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: published})
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	backplanetest.MustAcquire(t, to, topic)
	expired := backplanetest.NewEvent(topic, 2).JSON()
	fresh := backplanetest.NewEvent(topic, 3).JSON()
	take := ingest.Take(decoder{events.Builtin()}, to, func(ev *events.Event) time.Time {
		switch string(ev.Data) {
		case string(expired):
			return time.Now().Add(-time.Second)
		case string(fresh):
			return time.Now().Add(time.Hour)
		}
		return time.Time{}
	})
	errs := take(t.Context(), [][]byte{
		backplanetest.NewEvent(topic, 1).JSON(), expired, []byte("{}"), fresh,
	})
	for i, want := range []string{"", "expired", "no_event", ""} {
		reason := ""
		if refused, ok := errors.AsType[ingest.Refused](errs[i]); ok {
			reason = refused.Reason
		}
		if reason != want || (errs[i] != nil) != (want != "") {
			t.Errorf("event %d: %v, want %q", i, errs[i], want)
		}
	}
	if n := published.Count(); n != 2 {
		t.Errorf("%d events were published, want 2", n)
	}
}

// failing is a backplane that publishes no event but the first of a batch.
type failing struct {
	backplane.Backplane

	err error
}

func (f failing) PublishBatch(_ context.Context, batch [][]byte) []error {
	errs := make([]error, len(batch))
	for i := 1; i < len(batch); i++ {
		errs[i] = f.err
	}
	return errs
}

// The errors of a batch behind an invalid event would be those of other events: a publisher would take an event for
// published that is lost.
func TestTake_givesEachEventItsError(t *testing.T) {
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	event := func(n int) []byte { return backplanetest.NewEvent(topic, n).JSON() }
	errs := ingest.Take(decoder{events.Builtin()}, failing{err: backplane.ErrUnavailable}, nil)(t.Context(), [][]byte{
		[]byte("{}"), event(1), []byte("{}"), event(2), event(3),
	})
	noEvent := ingest.Refused{Reason: "no_event"}
	for i, want := range []error{noEvent, nil, noEvent, backplane.ErrUnavailable, backplane.ErrUnavailable} {
		if !errors.Is(errs[i], want) {
			t.Errorf("event %d: %v, want %v", i, errs[i], want)
		}
	}
}

// A lane whose keys have the wrong type takes no event, now or later.
func TestTake_refusesEventsOfABrokenLane(t *testing.T) {
	topic := backplanetest.Topic(events.NewID(), events.NewID())
	event := func(n int) []byte { return backplanetest.NewEvent(topic, n).JSON() }
	broken := failing{err: fmt.Errorf("lane 1: %w", backplane.ErrWrongType)}
	errs := ingest.Take(decoder{events.Builtin()}, broken, nil)(t.Context(), [][]byte{event(1), event(2)})
	want := ingest.Refused{Reason: "wrong_key_type", Detail: broken.err.Error()}
	if errs[0] != nil || !errors.Is(errs[1], want) {
		t.Errorf("got %v, want %v", errs, want)
	}
}
