package tracing

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const statusError = codes.Error

// sampler decides which spans are recorded. It follows a client that began the trace, and bounds both by a rate: a
// client can mark any number of its traces as recorded.
type sampler struct {
	roots   sdktrace.Sampler
	rate    float64
	limited prometheus.Counter

	mu   sync.Mutex
	room float64   // guarded by mu; spans that may be recorded now
	at   time.Time // guarded by mu; of room
}

func newSampler(o *Options, limited prometheus.Counter) *sampler {
	roots := sdktrace.NeverSample()
	if o.SampleEvery > 0 {
		roots = sdktrace.TraceIDRatioBased(1 / float64(o.SampleEvery))
	}
	return &sampler{
		roots: roots, rate: float64(o.Rate), limited: limited,
		room: float64(o.Rate), at: time.Now(),
	}
}

// ShouldSample implements the interface of the SDK.
func (s *sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	wanted := parent.IsSampled()
	if !parent.IsValid() {
		wanted = s.roots.ShouldSample(p).Decision == sdktrace.RecordAndSample
	}
	result := sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: parent.TraceState()}
	switch {
	case !wanted:
	case s.take(time.Now()):
		result.Decision = sdktrace.RecordAndSample
	default:
		s.limited.Inc()
	}
	return result
}

// take reports whether the rate has room for one more span.
func (s *sampler) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = min(s.rate, s.room+now.Sub(s.at).Seconds()*s.rate)
	s.at = now
	if s.room < 1 {
		return false
	}
	s.room--
	return true
}

// Description implements the interface of the SDK.
func (*sampler) Description() string { return "rte-server" }
