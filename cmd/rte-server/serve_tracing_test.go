package main

import (
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// traceparent is the trace of a client that records it.
const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// TestServe_exportsTraces follows the trace of a client through negotiate, upgrade, a call and a publication.
func TestServe_exportsTraces(t *testing.T) {
	collector := rtetest.MustStartCollector(t)
	p := start(t, serveArgs("--tracing.endpoint="+collector.URL, "--tracing.sample_every=0",
		"--tracing.headers=X-Key=secret of the collector")...)
	token := mustServiceToken(t, testOrganization)
	authorization := []string{"Authorization", "Bearer " + token}
	fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", authorization...) // not recorded
	fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1&access_token="+token,
		"traceparent", traceparent)
	fetch(t, http.MethodPost, p.clients+"/rte/negotiate", "traceparent", traceparent) // without a token
	p.hold("GET /rte?access_token=" + token + " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"traceparent: " + traceparent + "\r\n\r\n")
	c := p.connect(token, "")
	c.send(`{"type":1,"invocationId":"1","headers":{"traceparent":"` + traceparent + `","tracestate":"a=b"},` +
		`"target":"Subscribe","arguments":[[{"EntityId":"` + testUser + `","EventName":"UserAlert"}]]}`)
	c.expect(`"subscribed":true`)
	c.send(`{"type":1,"invocationId":"2","headers":{"traceparent":"` + traceparent + `"},"target":"` + testUser +
		`","arguments":[]}`)
	c.expect(`"error"`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.operators+"/api/publish",
		strings.NewReader(testJSON))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("traceparent", traceparent)
	p.do(request)

	for name, want := range map[string]map[string]string{
		"RteHub/Subscribe": {
			"rpc.system": "signalr", "rpc.service": "RteHub", "rpc.method": "Subscribe", "rte.items": "1",
		},
		"RteHub/unknown":    {"rpc.method": "unknown", "error.type": "invalid"},
		"POST /api/publish": {"http.response.status_code": "200", "messaging.batch.message_count": "1"},
		"GET /rte":          {"http.request.method": "GET", "http.route": "/rte", "http.response.status_code": "101"},
	} {
		span := collector.Wait(name)
		for key, value := range want {
			if got := rtetest.Attributes(span)[key]; got != value {
				t.Errorf("%s: %s is %q, want %q", name, key, got, value)
			}
		}
		if span.Kind != otlp.Span_SPAN_KIND_SERVER || span.EndTimeUnixNano < span.StartTimeUnixNano {
			t.Errorf("%s: %+v", name, span)
		}
	}
	eventually(t, "the exported spans to be counted", func() bool {
		return p.metric(`rte_tracing_spans_total{result="exported"}`) != "0"
	})
	statuses := map[string]bool{}
	for _, span := range collector.Spans() {
		if id := hex.EncodeToString(span.TraceId); id != traceID ||
			hex.EncodeToString(span.ParentSpanId) != "b7ad6b7169203331" {
			t.Errorf("%s belongs to the trace %s", span.Name, id)
		}
		if span.Name == "POST /rte/negotiate" {
			statuses[rtetest.Attributes(span)["http.response.status_code"]] = true
		}
		for _, hidden := range []string{token, testUser, testOrganization, "access_token"} {
			if text := span.String(); strings.Contains(text, hidden) {
				t.Errorf("%q is in %s", hidden, text)
			}
		}
	}
	if len(statuses) != 2 || !statuses["200"] || !statuses["401"] {
		t.Errorf("the negotiations have the statuses %v", statuses)
	}
	if collector.Headers().Get("X-Key") != "secret of the collector" {
		t.Error("the header is missing")
	}
	if strings.Contains(p.output.text(), "secret of the collector") {
		t.Error("the header is in the log")
	}
}

// tracingHeaders is the test of tracing.headers for reloadedKeys.
func tracingHeaders() reloadedKey {
	var collector *rtetest.Collector
	return reloadedKey{
		from: map[string]string{"tracing.headers": "x-key=the first secret of the collector"}, to: "x-key=" + otherSecret,
		prepare: func(t *testing.T, from map[string]string) {
			collector = rtetest.MustStartCollector(t)
			from["tracing.endpoint"], from["tracing.sample_every"] = collector.URL, "1"
		},
		inForce: func(r *reloading) bool {
			before := len(collector.Spans())
			r.client.subscribe(testUser, "UserStatus")
			eventually(r.t, "a span", func() bool { return len(collector.Spans()) > before })
			return collector.Headers().Get("X-Key") == otherSecret
		},
	}
}

// TestServe_goesOnWithoutCollector checks that clients work without delay while the collector hangs or is away.
func TestServe_goesOnWithoutCollector(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := start(t, serveArgs("--tracing.endpoint=http://"+silent.Addr().String(), "--tracing.sample_every=1",
		"--tracing.queue=5", "--tracing.timeout=1s", "--tracing.rate=10")...)
	token := mustServiceToken(t, testOrganization)
	eventually(t, "the losses to be counted", func() bool {
		for range 30 { // more than the rate allows, however long the metrics take
			began := time.Now()
			if status, answer := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1",
				"Authorization", "Bearer "+token); status != http.StatusOK || time.Since(began) > patience/2 {
				t.Fatalf("negotiate: %d %s", status, answer)
			}
		}
		return p.metric(`rte_tracing_spans_total{result="failed"}`) != "0" &&
			p.metric(`rte_tracing_spans_total{result="dropped"}`) != "0" &&
			p.metric(`rte_tracing_spans_total{result="limited"}`) != "0"
	})
}

func TestConfigCheck_checksTracing(t *testing.T) {
	for _, args := range [][]string{
		{"--tracing.endpoint=collector:4318"},
		{"--tracing.headers=a secret"},
		{"--tracing.queue=0"},
		{"--tracing.rate=0"},
		{"--tracing.timeout=0s"},
	} {
		_, stderr, err := command(t, "", append([]string{"config", "check"}, args...)...)
		if exitCode(err) != 2 || strings.Contains(stderr, "a secret") {
			t.Errorf("%v: %v\n%s", args, err, stderr)
		}
	}
}
