package clients

import (
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestProxies plays the script over Server-Sent Events and long polling through nginx and Caddy, as deploy/ configures
// them. A proxy that collects answers would deliver nothing. TestThreeNodes has the same for HAProxy.
func TestProxies(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...*rtetest.Server) *rtetest.WebServer{
		"nginx": rtetest.MustStartNginx, "caddy": rtetest.MustStartCaddy,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			balancer := start(t, s.startNode(t, allTransports))
			s.hubURL, s.certificate, s.fallbacks = balancer.HubURL, balancer.Certificate, true
			for _, l := range libraries() {
				if l.name != "node 10" && l.name != "java" {
					continue
				}
				c := startClient(t, l, s)
				c.waitReady(t)
				for _, m := range modes {
					if m.transport != "" && s.plays(c, m) {
						t.Run(l.name+", "+m.String(), func(t *testing.T) { s.play(t, c, m) })
					}
				}
			}
		})
	}
}
