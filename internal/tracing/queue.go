package tracing

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

const (
	// maxBatch is the largest number of spans in one request. batchWait is how long a span waits for others.
	maxBatch  = 512
	batchWait = time.Second
	// reportEvery is the time between two log entries about a collector that does not take spans.
	reportEvery = time.Minute
)

// queue is the bounded queue between the spans and their export. The processor of the SDK counts no losses, and starts
// its goroutine in its constructor.
type queue struct {
	exporter *otlptrace.Exporter
	hangUp   func() // closes the connections to the collector
	timeout  time.Duration
	spans    chan sdktrace.ReadOnlySpan
	logger   *zap.Logger
	metrics  *metrics
	reported time.Time // owned by run
}

// metrics count the spans.
type metrics struct {
	exported, failed, dropped, limited prometheus.Counter
}

func newQueue(o *Options, client otlptrace.Client, hangUp func()) *queue {
	logger := o.Logger
	if logger == nil {
		logger = zap.NewNop()
	}
	q := &queue{
		exporter: otlptrace.NewUnstarted(client), hangUp: hangUp, timeout: o.Timeout,
		spans: make(chan sdktrace.ReadOnlySpan, o.Queue), logger: logger,
	}
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rte_tracing_spans_total",
		Help: "Spans, by result: exported, refused by the collector or lost on the way (failed), without room in the queue " +
			"(dropped), or above tracing.rate (limited).",
	}, []string{"result"})
	q.metrics = &metrics{
		exported: spans.WithLabelValues("exported"), failed: spans.WithLabelValues("failed"),
		dropped: spans.WithLabelValues("dropped"), limited: spans.WithLabelValues("limited"),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(spans,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "rte_tracing_queue_length", Help: "Spans that wait for their export.",
			}, func() float64 { return float64(len(q.spans)) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "rte_tracing_queue_capacity", Help: "Spans that can wait; further ones are dropped.",
			}, func() float64 { return float64(cap(q.spans)) }),
		)
	}
	return q
}

// OnStart implements sdktrace.SpanProcessor.
func (*queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor. It never waits.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	select {
	case q.spans <- s:
	default:
		q.metrics.dropped.Inc()
	}
}

// Shutdown implements sdktrace.SpanProcessor. It does nothing: run exports the rest.
func (*queue) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*queue) ForceFlush(context.Context) error { return nil }

// run exports batches until ctx ends, and then the rest.
func (q *queue) run(ctx context.Context) error {
	defer q.hangUp()
	defer func() { _ = q.exporter.Shutdown(context.WithoutCancel(ctx)) }() // never fails
	if err := q.exporter.Start(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case first := <-q.spans:
			q.export(q.collect(ctx, first))
		}
	}
	for len(q.spans) > 0 {
		if !q.export(q.collect(ctx, <-q.spans)) {
			break
		}
	}
	return nil
}

// collect waits a while for further spans of a batch. After the end of ctx, it takes the waiting spans.
func (q *queue) collect(ctx context.Context, first sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	batch := []sdktrace.ReadOnlySpan{first}
	timer := time.NewTimer(batchWait)
	defer timer.Stop()
	for len(batch) < maxBatch {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
			continue
		default:
		}
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// export sends a batch. It reports whether the collector took it. A batch that failed is not sent again.
func (q *queue) export(batch []sdktrace.ReadOnlySpan) bool {
	ctx, cancel := context.WithTimeout(context.Background(), q.timeout)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	if err == nil {
		q.metrics.exported.Add(float64(len(batch)))
		return true
	}
	q.metrics.failed.Add(float64(len(batch)))
	if now := time.Now(); now.Sub(q.reported) >= reportEvery {
		q.reported = now
		q.logger.Warn("spans not exported", zap.Int("spans", len(batch)), zap.Error(err))
	}
	return false
}
