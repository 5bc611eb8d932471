package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustRenew replaces the certificate of a load balancer, and makes it read the file.
func mustRenew(t *testing.T, balancer *rtetest.WebServer) {
	t.Helper()
	renewed := rtetest.MustMakeCertificate(t)
	text, err := os.ReadFile(renewed.ServerFile)
	if err != nil {
		t.Fatal(err)
	}
	rtetest.MustReplaceFile(t, balancer.Certificate.ServerFile, text)
	balancer.Reload()
	for deadline := time.Now().Add(rtetest.Patience); ; time.Sleep(50 * time.Millisecond) {
		serial := servedSerial(t, balancer.Addr)
		if serial == renewed.Server.SerialNumber.String() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("certificate %s is served after a reload, want %s", serial, renewed.Server.SerialNumber)
		}
	}
}

// A reload of nginx renews the certificate and ends no connection. The old worker ends when its clients have moved.
func TestNginx_renewsCertificateWithoutHerd(t *testing.T) {
	const clients = 30
	node := startServer(t, rtetest.Settings{"quotas.address_connections": "0"})
	balancer := rtetest.MustStartNginx(t, node)
	raw := startSwarm(t, balancer.HubURL, clients, 1)
	mustRenew(t, balancer)
	balancer.WaitForOldWorker()
	connected, missing := raw.compare()
	if outages := raw.take(); connected != clients || missing != 0 || len(outages) != 0 {
		t.Errorf("%d of %d clients are connected, %d were out", connected, clients, len(outages))
	}
	began := time.Now()
	shedAll(t, node)
	balancer.WaitForWorkers(1)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the clients moved within %s", took)
	}
	node.WaitFor("all clients to return", func() bool { connected, _ := raw.compare(); return connected == clients })
	if n := len(raw.take()); n != clients {
		t.Errorf("%d clients moved to the new worker, want %d", n, clients)
	}
}

// A reload of Caddy before 2.7, as in Debian, renews the certificate and ends all WebSockets at once. The clients come
// in again at admission.rate. All come back, with all subscriptions.
func TestCaddy_renewsCertificateAndClientsComeBack(t *testing.T) {
	const clients, rate = 30, 10
	node := startServer(t, rtetest.Settings{
		"quotas.address_connections": "0", "admission.rate": fmt.Sprint(rate), "admission.burst": "1",
	})
	balancer := rtetest.MustStartCaddy(t, node)
	raw := startSwarm(t, balancer.HubURL, clients, 1)
	before := node.Metric("rte_transport_requests_refused_total")
	began := time.Now()
	mustRenew(t, balancer)
	node.WaitFor("all clients to return", func() bool {
		connected, missing := raw.compare()
		return connected == clients && missing == 0 && node.Metric("rte_hub_sessions_open") == clients
	})
	outages := raw.take()
	longest := time.Duration(0)
	for _, o := range outages {
		longest = max(longest, o.to.Sub(o.from))
	}
	t.Logf("%d clients were out, for %s at most; all were back after %s", len(outages), longest, time.Since(began))
	if len(outages) != clients {
		t.Errorf("the reload ended the connections of %d clients, docs/deploy.md says of all", len(outages))
	}
	if least := (clients - 2) * time.Second / rate; longest < least {
		t.Errorf("all came back within %s, at %d per second they need %s", longest, rate, least)
	}
	if n := node.Metric("rte_transport_requests_refused_total") - before; n != 0 || raw.gaveUp > 0 {
		t.Errorf("%v requests were refused, %d clients gave up", n, raw.gaveUp)
	}
}
