package helpers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// Browsers, the package ws in Node, websockets in Python and OkHttp in Java offer compression by themselves. They
// decode every event.
func TestHelper_readsCompressedEvents(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *stage) *application{
		"browser": inBrowser,
		"node":    func(t *testing.T, s *stage) *application { return inNode(t, s, "index.js") },
		"python":  inPython,
		"java":    inJava,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, rtetest.Settings{"compression.deflate": "true"})
			log := newRequestLog(t, s.server.Host)
			s.setEndpoint("ws" + strings.TrimPrefix(log.URL, "http") + "/rte")
			app := start(t, s)
			app.subscribe(topics())
			app.do("start", nil, nil)
			app.awaitState("right")
			stop := s.startPublishing()
			app.await("events", func(v view) bool { return grew(map[string][]int{topics()[0].String(): make([]int, 20)}, v) })
			stop()
			want := s.published()
			v := app.await("the view to equal what was published", func(v view) bool {
				return v.State == "right" && cmp.Equal(want, callsOf(v, want))
			})
			log.mu.Lock()
			defer log.mu.Unlock()
			if log.small == 0 || len(v.Errors) > 0 || len(v.Twice) > 0 || len(v.Discontinuities) > 1 {
				t.Errorf("%d upgrades with compression, %+v", log.small, v)
			}
		})
	}
}
