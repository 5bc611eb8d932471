package tracing_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/internal/tracing"
)

func TestMain(m *testing.M) {
	tracing.QuietDriver()
	goleak.VerifyTestMain(m)
}

// The traces of clients, one of which is recorded.
const (
	recorded = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	skipped  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// mustTracer makes a tracer that records every trace.
func mustTracer(
	t *testing.T, c *rtetest.Collector, change func(*tracing.Options),
) (*tracing.Tracer, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	o := tracing.Options{
		Endpoint: c.URL, SampleEvery: 1, Rate: 100, Queue: 10, Timeout: time.Second, Node: "one", Version: "7",
		Registerer: registry,
	}
	if change != nil {
		change(&o)
	}
	tracer, err := tracing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tracer, registry
}

// spans returns the number of spans with a result.
func spans(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if labels := m.GetLabel(); len(labels) == 1 && labels[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no span counter %q", result)
	return 0
}

func TestTracer_exportsSpans(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-env=1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	c := rtetest.MustStartCollector(t)
	tracer, registry := mustTracer(t, c, func(o *tracing.Options) { o.Headers = "X-Key=secret, X-Other=b=c" })
	stop := rtetest.Start(t, tracer.Run)
	span := tracer.Begin("POST /rte/negotiate", recorded)
	span.Text("http.route", strings.Repeat("x", 1000))
	span.Number("http.response.status_code", 503)
	span.Fail("503")
	span.End()
	got := c.Wait("POST /rte/negotiate")
	if id := hex.EncodeToString(got.TraceId); id != "0af7651916cd43dd8448eb211c80319c" ||
		hex.EncodeToString(got.ParentSpanId) != "b7ad6b7169203331" {
		t.Errorf("trace %s, parent %x", id, got.ParentSpanId)
	}
	want := map[string]string{
		"http.route": strings.Repeat("x", 256), "http.response.status_code": "503", "error.type": "503",
	}
	if diff := cmp.Diff(want, rtetest.Attributes(got)); diff != "" {
		t.Error(diff)
	}
	if h := c.Headers(); h.Get("X-Key") != "secret" || h.Get("X-Other") != "b=c" || h.Get("X-Env") != "" {
		t.Errorf("headers: %v", h)
	}
	tracer.SetHeaders("X-Key=other")
	tracer.Begin("last", "").End()
	stop()
	c.Wait("last") // is exported at the end
	if h := c.Headers(); h.Get("X-Key") != "other" || h.Get("X-Other") != "" {
		t.Errorf("headers: %v", h)
	}
	if n := spans(t, registry, "exported"); n != 2 {
		t.Errorf("%v spans are counted", n)
	}
}

func TestTracer_followsClients(t *testing.T) {
	c := rtetest.MustStartCollector(t)
	tracer, _ := mustTracer(t, c, func(o *tracing.Options) { o.SampleEvery = 0 })
	for name, test := range map[string]struct {
		parent string
		want   bool
	}{
		"recorded": {recorded, true}, "skipped": {skipped, false}, "none": {"", false},
		"malformed": {"00-xyz-01", false}, "zeros": {"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", false},
		"long": {recorded + strings.Repeat("-", 200), false},
	} {
		if span := tracer.Begin(name, test.parent); (span != nil) != test.want {
			t.Errorf("%s: recorded is %v", name, span != nil)
		}
	}
}

func TestTracer_boundsRateAndQueue(t *testing.T) {
	c := rtetest.MustStartCollector(t)
	tracer, registry := mustTracer(t, c, func(o *tracing.Options) { o.Rate = 20 })
	began := time.Now()
	for range 50 {
		tracer.Begin("a", recorded).End() // no collector gets it
	}
	limited := spans(t, registry, "limited")
	if room := 20 + time.Since(began).Seconds()*20 + 1; limited < 50-room || limited == 0 {
		t.Errorf("%v spans are limited", limited)
	}
	if n := spans(t, registry, "dropped"); n != 50-limited-10 {
		t.Errorf("%v spans are dropped of %v, with room for 10", n, 50-limited)
	}
}

func TestTracer_countsWhatTheCollectorDoesNotTake(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	c := rtetest.MustStartCollector(t)
	c.Answer(http.StatusServiceUnavailable)
	tracer, registry := mustTracer(t, c, func(o *tracing.Options) {
		o.Logger, o.Headers = zap.New(core), "authorization=Bearer hidden"
	})
	defer rtetest.Start(t, tracer.Run)()
	for number := range 2 {
		tracer.Begin("a", "").End()
		for deadline := time.Now().Add(rtetest.Patience); spans(t, registry, "failed") != float64(number+1); {
			if time.Now().After(deadline) {
				t.Fatal("no failure is counted")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if logs.Len() != 1 || strings.Contains(logs.All()[0].Message, "hidden") {
		t.Errorf("the log has %v", logs.All())
	}
	c.Answer(http.StatusOK)
	tracer.Begin("b", "").End()
	c.Wait("b")
}

func TestTracer_off(t *testing.T) {
	var tracer *tracing.Tracer
	span := tracer.Begin("a", recorded)
	span.Text("a", "b")
	span.Number("a", 1)
	span.Fail("a")
	span.End()
	tracer.SetHeaders("a=b")
	if err := tracer.Run(context.Background()); err != nil || span != nil {
		t.Error(span, err)
	}
	if n := testing.AllocsPerRun(100, func() { tracer.Begin("a", recorded).End() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNew_refusesMistakes(t *testing.T) {
	for _, o := range []tracing.Options{
		{Endpoint: ""},
		{Endpoint: "collector:4318"},
		{Endpoint: "grpc://a"},
		{Endpoint: "http://a", Headers: "secret"},
		{Endpoint: "http://a", Headers: "a=b\nc=d"},
		{Endpoint: "http://a", Headers: "a b=c"},
	} {
		if _, err := tracing.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error quotes a header: %v", err)
		}
	}
}

// FuzzTracer_Begin begins spans with any traceparent of a client.
func FuzzTracer_Begin(f *testing.F) {
	f.Add(recorded)
	f.Add(skipped)
	f.Add("")
	tracer, err := tracing.New(tracing.Options{Endpoint: "http://127.0.0.1:9", Rate: 1, Queue: 1, Timeout: time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, parent string) { tracer.Begin("a", parent).End() })
}

func BenchmarkBegin(b *testing.B) {
	for name, every := range map[string]int{"Recorded": 1, "NotRecorded": 0} {
		b.Run(name, func(b *testing.B) {
			tracer, err := tracing.New(tracing.Options{
				Endpoint: "http://127.0.0.1:9", SampleEvery: every, Rate: 1 << 30, Queue: 1, Timeout: time.Second,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				tracer.Begin("a", "").End()
			}
		})
	}
	b.Run("Off", func(b *testing.B) {
		var tracer *tracing.Tracer
		b.ReportAllocs()
		for b.Loop() {
			tracer.Begin("a", recorded).End()
		}
	})
}
