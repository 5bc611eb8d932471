package config

import (
	"time"

	"github.com/rte-server/rte-server/internal/tracing"
)

// Tracing selects the spans to export and the collector of OpenTelemetry.
type Tracing struct {
	// Endpoint is the URL of the collector; empty: no spans are made.
	Endpoint    string
	Headers     string
	SampleEvery int
	Rate        int
	Queue       int
	Timeout     time.Duration
}

// addTracing adds the keys of tracing.
func (k *keyList) addTracing(t *Tracing) {
	k.text(&t.Endpoint, "tracing.endpoint", "",
		"URL of an OpenTelemetry collector, for OTLP over HTTP, such as http://collector:4318/v1/traces; none: no tracing")
	k.secret(&t.Headers, "tracing.headers",
		"headers of the requests to the collector, as name=value with commas between them")
	k.count(&t.SampleEvery, "tracing.sample_every", 100,
		"one in this number of the traces that begin at the server is recorded; 0: none. A trace that a client began is "+
			"recorded if the client records it")
	positive(k.count(&t.Rate, "tracing.rate", 100, "recorded spans per second, of all traces"))
	positive(k.count(&t.Queue, "tracing.queue", 2048, "spans that wait for the collector; further ones are dropped"))
	positive(k.span(&t.Timeout, "tracing.timeout", 10*time.Second, "time limit of one request to the collector"))
}

// checkTracing checks the keys of tracing.
func (p *problems) checkTracing(t *Tracing) {
	if t.Endpoint != "" {
		if err := tracing.CheckEndpoint(t.Endpoint); err != nil {
			p.add("tracing.endpoint", "%v", err)
		}
	}
	if _, err := tracing.ParseHeaders(t.Headers); err != nil {
		p.add("tracing.headers", "%v", err)
	}
}
