package console_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
)

// A request for a billion seconds of a trace, or of the only profile of the processor, ran until the end of its
// connection.
func TestServer_boundsProfiles(t *testing.T) {
	server := mustNew(t, console.Options{Readiness: console.NewReadiness(), Gatherer: prometheus.NewRegistry()})
	for _, path := range []string{"profile", "trace", "heap"} {
		for _, seconds := range []string{"301", "1e9", "-1", "NaN", "Inf", "soon"} {
			target := "http://localhost/debug/pprof/" + path + "?seconds=" + seconds
			if status, body := fetch(t, server, "GET", target); status != 400 {
				t.Errorf("%s: %d %s", target, status, body)
			}
		}
	}
	if status, _ := fetch(t, server, "GET", "http://localhost/debug/pprof/trace?seconds=0.01"); status != 200 {
		t.Errorf("a short trace: %d", status)
	}
}
