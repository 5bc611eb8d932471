package rtetest

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector is a collector of OpenTelemetry for a test, with OTLP over HTTP.
type Collector struct {
	// URL is its endpoint.
	URL string

	t       testing.TB
	changed chan struct{} // gets an element when spans have come

	mu      sync.Mutex
	spans   []*otlp.Span // guarded by mu
	headers http.Header  // guarded by mu; of the latest request
	status  int          // guarded by mu; of the answers
}

// MustStartCollector starts a collector. The end of the test stops it.
func MustStartCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{t: t, changed: make(chan struct{}, 1), status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.URL = server.URL + "/v1/traces"
	return c
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			c.t.Errorf("collector: %v", err)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("collector: %s %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		return
	}
	c.mu.Lock()
	status := c.status
	c.headers = r.Header
	if status == http.StatusOK {
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(status)
}

// Answer sets the status of further answers. With another status than 200 it drops the spans.
func (c *Collector) Answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// Headers returns the headers of the latest request.
func (c *Collector) Headers() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Clone()
}

// Spans returns the spans that have come.
func (c *Collector) Spans() []*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*otlp.Span(nil), c.spans...)
}

// Wait waits for a span with a name and returns it.
func (c *Collector) Wait(name string) *otlp.Span {
	c.t.Helper()
	for timeout := time.After(Patience); ; {
		for _, span := range c.Spans() {
			if span.Name == name {
				return span
			}
		}
		select {
		case <-c.changed:
		case <-timeout:
			c.t.Fatalf("no span %q came", name)
		}
	}
}

// Attributes returns the attributes of a span as texts.
func Attributes(span *otlp.Span) map[string]string {
	all := map[string]string{}
	for _, attribute := range span.Attributes {
		all[attribute.Key] = attribute.Value.GetStringValue()
		if number, ok := attribute.Value.Value.(*common.AnyValue_IntValue); ok {
			all[attribute.Key] = strconv.FormatInt(number.IntValue, 10)
		}
	}
	return all
}
