package clients

import (
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestProxies plays the script over Server-Sent Events and long polling through nginx and Caddy, as deploy/ configures
// them. A proxy that collects answers would deliver no events. TestThreeNodes has the same for HAProxy.
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

// TestFallbacks_killedServer kills the server under clients of both transports. They notice, come back when it runs
// again, and receive events again.
func TestFallbacks_killedServer(t *testing.T) {
	s := newStage(t)
	node := s.startNode(t, allTransports)
	s.hubURL, s.fallbacks = node.HubURL, true
	var all []*restartedConnection
	for _, l := range libraries() {
		if l.name != "node 10" && l.name != "node 8" {
			continue
		}
		c := startClient(t, l, s)
		c.waitReady(t)
		for _, transport := range c.transports {
			o := options{url: s.hubURL, token: s.token, protocol: "json", transport: transport, reconnect: true}
			r := &restartedConnection{c.mustOpen(t, o), o, s.agent(t), 1}
			s.expectEvents(t, r)
			all = append(all, r)
		}
	}
	node.Kill()
	for _, r := range all {
		r.expect(t, "reconnecting")
	}
	node.Start()
	for _, r := range all {
		r.expect(t, "reconnected")
		s.expectEvents(t, r)
	}
}

// TestProxies_loseNoRequest sends requests through each proxy to a node that closes idle connections at once. A proxy
// that used a connection again would lose the request that crosses its end, without an answer.
func TestProxies_loseNoRequest(t *testing.T) {
	const idle = 10 * time.Millisecond
	settings := maps.Clone(allTransports)
	settings["timeouts.idle"] = idle.String()
	for name, start := range map[string]func(testing.TB, *rtetest.Server) (hubURL string, trusted *rtetest.Certificate){
		"haproxy": func(t testing.TB, node *rtetest.Server) (string, *rtetest.Certificate) {
			t.Helper()
			p := rtetest.MustStartHAProxy(t, "roundrobin", node)
			return p.HubURL, p.Certificate
		},
		"nginx": func(t testing.TB, node *rtetest.Server) (string, *rtetest.Certificate) {
			t.Helper()
			p := rtetest.MustStartNginx(t, node)
			return p.HubURL, p.Certificate
		},
		"caddy": func(t testing.TB, node *rtetest.Server) (string, *rtetest.Certificate) {
			t.Helper()
			p := rtetest.MustStartCaddy(t, node)
			return p.HubURL, p.Certificate
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			hubURL, certificate := start(t, s.startNode(t, settings))
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate.Pool(t)}}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: rtetest.Patience}
			for i := range 200 {
				request, err := http.NewRequest(http.MethodPost, hubURL+"/negotiate?negotiateVersion=1", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+s.token)
				request.GetBody = nil // the client must not send it again
				response, err := client.Do(request)
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Fatalf("request %d: %s", i, response.Status)
				}
				time.Sleep(idle + time.Duration(i%20-10)*100*time.Microsecond)
			}
		})
	}
}
