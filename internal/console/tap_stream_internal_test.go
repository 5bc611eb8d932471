package console

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// flushed returns the frames that wait, without their times.
func (s *tapStream) flushed() string {
	var out bytes.Buffer
	s.flush(&out)
	return out.String()
}

func eventsOf(n int) []TapEvent { return make([]TapEvent, n) }

func TestTapStream_countsWhatIsLostBetweenNodes(t *testing.T) {
	metrics := newTapMetrics(prometheus.NewRegistry())
	s := newTapStream(1<<20, metrics)
	s.take("a", &tapBatch{Before: 7, Events: eventsOf(2)})  // the first batch that came
	s.take("a", &tapBatch{Before: 9, Events: eventsOf(1)})  // the next one
	s.take("a", &tapBatch{Before: 15, Events: eventsOf(1)}) // five events are missing
	if got := s.flushed(); strings.Count(got, "event: event\n") != 4 || strings.Count(got, "event: node\n") != 1 ||
		!strings.Contains(got, `"node":"a","count":5,"reason":"lost"`) {
		t.Errorf("frames\n%s", got)
	}
	s.take("a", &tapBatch{Before: 0, Events: eventsOf(1)}) // it began again
	if got := s.flushed(); strings.Contains(got, "dropped") {
		t.Errorf("frames\n%s", got)
	}
	if n := testutil.ToFloat64(metrics.dropped.WithLabelValues(droppedLost)); n != 5 {
		t.Errorf("%v events are lost", n)
	}
}

func TestTapStream_dropsFirstForASlowReader(t *testing.T) {
	metrics := newTapMetrics(prometheus.NewRegistry())
	s := newTapStream(1000, metrics)
	for n := range uint64(20) {
		s.take("a", &tapBatch{Before: n, Events: eventsOf(1), Dropped: []TapDropped{{Count: 3, Reason: "rate"}}})
	}
	got := s.flushed()
	kept := strings.Count(got, "event: event\n")
	if dropped := testutil.ToFloat64(metrics.dropped.WithLabelValues(droppedReader)); kept == 0 || len(got) > 2000 ||
		int(dropped) != 20-kept || !strings.Contains(got, `"count":60,"reason":"rate"`) ||
		!strings.Contains(got, `"reason":"reader"`) {
		t.Errorf("kept %d, dropped %v, frames\n%s", kept, dropped, got)
	}
	s.take("a", &tapBatch{Before: 20, Events: eventsOf(1)})
	if got := s.flushed(); strings.Count(got, "event: event\n") != 1 || strings.Contains(got, "dropped") {
		t.Errorf("with room again: frames\n%s", got)
	}
}

func TestTapStream_reportsNodesThatJoinAndAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTapStream(1<<20, newTapMetrics(nil))
		s.take("a", &tapBatch{})
		s.take("b", &tapBatch{Problem: "full"})
		s.take("b", &tapBatch{Problem: "full"})
		if got := s.flushed(); strings.Count(got, "event: node\n") != 2 ||
			!strings.Contains(got, `{"node":"b","state":"refused","detail":"full"}`) {
			t.Errorf("frames\n%s", got)
		}
		time.Sleep(tapLost + time.Second)
		s.look(time.Now())
		s.look(time.Now())
		if got := s.flushed(); strings.Count(got, "event: node\n") != 1 ||
			!strings.Contains(got, `"node":"a","state":"lost"`) {
			t.Errorf("frames\n%s", got)
		}
		s.take("a", &tapBatch{})
		if got := s.flushed(); !strings.Contains(got, `"node":"a","state":"joined"`) {
			t.Errorf("frames\n%s", got)
		}
		for range 2 * maxTapNodes {
			s.take(strings.Repeat("x", len(s.sources)), &tapBatch{})
		}
		if len(s.sources) != maxTapNodes {
			t.Errorf("%d nodes", len(s.sources))
		}
	})
}

// stalled is a reader that takes nothing.
type stalled struct {
	http.ResponseWriter

	header   http.Header
	deadline time.Time
	written  int
}

// Header implements http.ResponseWriter.
func (s *stalled) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (*stalled) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (s *stalled) Write(p []byte) (int, error) {
	if s.written += len(p); s.deadline.IsZero() {
		return len(p), nil
	}
	time.Sleep(time.Until(s.deadline))
	return 0, http.ErrHandlerTimeout
}

// FlushError is for http.ResponseController.
func (*stalled) FlushError() error { return nil }

// SetWriteDeadline is for http.ResponseController.
func (s *stalled) SetWriteDeadline(deadline time.Time) error {
	if s.written > 0 { // after hello
		s.deadline = deadline
	}
	return nil
}

// SetReadDeadline is for http.ResponseController.
func (*stalled) SetReadDeadline(time.Time) error { return nil }

func TestTapStream_keepsAliveAndEndsForAReaderThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTapStream(1<<20, newTapMetrics(nil))
		began := time.Now()
		w := &stalled{header: http.Header{}}
		s.send(w, nil, &TapHello{})
		// The first write after hello is the comment.
		if took := time.Since(began); took < tapKeepAlive+tapWrite || took > tapKeepAlive+tapWrite+2*time.Second {
			t.Errorf("the stream ended after %s", took)
		}
		if w.header.Get("Content-Type") != "text/event-stream" || w.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("header %v", w.header)
		}
	})
}
