package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// servedSerial returns the serial number of the certificate that a TLS server has.
func servedSerial(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A renewed certificate needed a reload, and all clients of the old process reconnected at once five minutes later.
func TestHAProxy_renewsCertificateAndReloadsWithoutHerd(t *testing.T) {
	const clients = 30
	node := startServer(t, rtetest.Settings{"quotas.address_connections": "0"})
	balancer := rtetest.MustStartHAProxy(t, "leastconn", node)
	raw := startSwarm(t, balancer.HubURL, clients, 1)
	expectNone := func(what string) {
		t.Helper()
		connected, missing := raw.compare()
		if outages := raw.take(); connected != clients || missing != 0 || len(outages) != 0 {
			t.Errorf("%s: %d of %d clients are connected, %d were out", what, connected, clients, len(outages))
		}
	}

	renewed := rtetest.MustMakeCertificate(t)
	before := servedSerial(t, balancer.Addr)
	host, port, err := net.SplitHostPort(balancer.RuntimeAPI())
	if err != nil {
		t.Fatal(err)
	}
	send := "exec 3<>/dev/tcp/" + host + "/" + port + "; cat >&3; cat <&3"
	renew := func(file string) (string, error) {
		out, err := exec.Command("../../deploy/haproxy-certificate.sh", file, balancer.Certificate.ServerFile,
			"bash", "-c", send).CombinedOutput()
		return string(out), err
	}
	if out, err := renew(renewed.ServerFile); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if after := servedSerial(t, balancer.Addr); after == before || after != renewed.Server.SerialNumber.String() {
		t.Errorf("HAProxy serves certificate %s, want %s", after, renewed.Server.SerialNumber)
	}
	expectNone("after the renewal")
	if out, err := renew(renewed.AuthorityFile); err == nil { // without a key
		t.Errorf("HAProxy took a certificate without a key: %s", out)
	}

	balancer.Reload()
	expectNone("after a reload")
	shedAll(t, node)
	balancer.WaitForWorkers(1) // the old one ends with its last connection
	node.WaitFor("all clients to return", func() bool { connected, _ := raw.compare(); return connected == clients })
	if n := len(raw.take()); n != clients {
		t.Errorf("%d clients moved to the new process, want %d", n, clients)
	}
	if text := readDeploy(t, "haproxy.cfg"); !strings.Contains(text, "hard-stop-after 24h") {
		t.Error("haproxy.cfg ends the connections of an old process soon")
	}
}

// shedAll begins to move all clients of a node, over 2 s.
func shedAll(t *testing.T, node *rtetest.Server) {
	t.Helper()
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, node.ConsoleURL+"/api/shed?connections=all&over=2s", http.NoBody,
	)
	if err != nil {
		t.Fatal(err)
	}
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("shed: %s", response.Status)
	}
}
