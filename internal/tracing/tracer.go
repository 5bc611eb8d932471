package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Options configure a Tracer.
type Options struct {
	// Endpoint is the URL to which spans are posted, such as http://collector:4318/v1/traces. Required.
	Endpoint string
	// Headers are sent with each request: name=value, with commas between them.
	Headers string
	// One in SampleEvery traces that begin here is recorded; 0: none. A trace that a client began is recorded if the
	// client records it.
	SampleEvery int
	// Rate bounds the recorded spans per second, of all traces.
	Rate int
	// Queue bounds the spans that wait for the export. Timeout bounds one export.
	Queue   int
	Timeout time.Duration
	// Node and Version describe the program.
	Node, Version string

	Logger     *zap.Logger           // nil: nothing is logged
	Registerer prometheus.Registerer // nil: no metrics
}

// scope is the name of the program that makes the spans.
const scope = "github.com/rte-server/rte-server"

// Tracer makes spans. Its methods may be called from any goroutine.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
	queue    *queue
	headers  atomic.Pointer[http.Header]
}

// QuietDriver makes the SDK report nothing by itself: it would write to standard error without a bound. It applies to
// the whole process; call it before anything else of this package. The Tracer counts and logs the same failures.
func QuietDriver() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) }

// New makes a Tracer. It connects to nothing: Run does.
func New(o Options) (*Tracer, error) {
	headers, err := ParseHeaders(o.Headers)
	if err == nil {
		err = CheckEndpoint(o.Endpoint)
	}
	if err != nil {
		return nil, err
	}
	t := &Tracer{}
	t.headers.Store(&headers)
	// The environment variables of OpenTelemetry must not override the configuration.
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
	client := otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(o.Endpoint), otlptracehttp.WithTimeout(o.Timeout),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHeaders(map[string]string{}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Timeout: o.Timeout, Transport: &headerSender{t, transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	)
	t.queue = newQueue(&o, client, transport.CloseIdleConnections)
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(newSampler(&o, t.queue.metrics.limited)),
		sdktrace.WithSpanProcessor(t.queue),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 8, LinkCountLimit: 4,
			AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8,
		}),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "rte-server"), attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Node),
		)),
	)
	t.tracer = t.provider.Tracer(scope, trace.WithInstrumentationVersion(o.Version))
	return t, nil
}

// Run exports spans until ctx ends. Then it exports the waiting spans, for at most the time limit of one export.
func (t *Tracer) Run(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.queue.run(ctx)
}

// SetHeaders replaces Options.Headers, which ParseHeaders has accepted.
func (t *Tracer) SetHeaders(text string) {
	if headers, err := ParseHeaders(text); t != nil && err == nil {
		t.headers.Store(&headers)
	}
}

// headerSender adds the headers in force to each request.
type headerSender struct {
	tracer    *Tracer
	transport *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (s *headerSender) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	maps.Copy(r.Header, *s.tracer.headers.Load())
	return s.transport.RoundTrip(r)
}

// CheckEndpoint returns an error if the text is no URL of a collector.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("not an http or https URL")
	}
	return nil
}

// ParseHeaders reads name=value, with commas between them. Its error contains no value.
func ParseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("header %d: want name=value, in visible ASCII", len(headers)+1)
		}
		headers.Set(name, value)
	}
	return headers, nil
}

// Span is a recorded span. nil: none is recorded.
type Span struct{ span trace.Span }

// maxParent bounds the traceparent of a client, in bytes. The versions known today need 55.
const maxParent = 128

// Begin begins the span of a request or a call of a client. parent is its traceparent; empty or malformed: the span
// begins a trace. The caller must call End.
func (t *Tracer) Begin(name, parent string) *Span {
	if t == nil {
		return nil
	}
	return t.BeginAt(time.Now(), name, parent)
}

// BeginAt is Begin for a span with an earlier start.
func (t *Tracer) BeginAt(began time.Time, name, parent string) *Span {
	if t == nil {
		return nil
	}
	ctx := context.Background()
	if parent != "" && len(parent) <= maxParent {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	}
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(began))
	if !span.IsRecording() {
		return nil
	}
	return &Span{span}
}

// Text sets an attribute.
func (s *Span) Text(key, value string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Number sets an attribute.
func (s *Span) Number(key string, value int) {
	if s != nil {
		s.span.SetAttributes(attribute.Int(key, value))
	}
}

// Fail marks the span as failed. The reason must be one of a few fixed words.
func (s *Span) Fail(reason string) {
	if s != nil {
		s.span.SetAttributes(attribute.String("error.type", cmp.Or(reason, "_OTHER")))
		s.span.SetStatus(statusError, "")
	}
}

// End ends the span.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}
