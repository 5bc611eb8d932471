package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// negotiate asks a node for a connection token.
func negotiate(t *testing.T, srv *server, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.HubURL+"/negotiate?negotiateVersion=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ ConnectionToken string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.ConnectionToken == "" {
		t.Fatalf("negotiate: %s, %v", response.Status, err)
	}
	return answer.ConnectionToken
}

// TestTwoNodes has two nodes and one Redis, as a deployment has.
func TestTwoNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := [2]*server{}
	for i := range nodes {
		nodes[i] = startServer(t, settings{"redis.addresses": redis.Addr})
	}
	token := mustTokenOfAgent(t, authz.RoleAgent)

	t.Run("connect on one with what the other negotiated", func(t *testing.T) {
		for i, node := range nodes {
			other := nodes[1-i]
			id := negotiate(t, node, token)
			c := connect(t, clientOptions{URL: other.HubURL + "?id=" + id, Token: token, SkipNegotiation: true})
			var names []string
			c.mustInvoke(&names, "AvailableSubscriptions")
		}
	})

	t.Run("an event published once arrives once at the clients of both", func(t *testing.T) {
		var clients []*client
		for _, node := range nodes {
			for range 2 {
				c := connect(t, clientOptions{URL: node.HubURL, Token: token})
				var results []subscriptionResult
				c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
				if !results[0].Subscribed {
					t.Fatalf("Subscribe: %+v", results)
				}
				clients = append(clients, c)
			}
		}
		const events = 20
		for i := range events {
			publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, i))
		}
		// In order and without a gap: an event that came twice would stand where the next one belongs.
		for n, c := range clients {
			for i := range events {
				if got := c.next().Data["activeQueues"]; got != float64(i) {
					t.Fatalf("client %d received event %v, want %d", n, got, i)
				}
			}
		}
	})
}

// TestLoadBalancer puts deploy/haproxy.cfg, with TLS and without sticky sessions, in front of two nodes.
func TestLoadBalancer(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	nodes := [2]*server{}
	for i := range nodes {
		// Long enough for the load balancer to see that a node stops.
		nodes[i] = startServer(t, settings{"redis.addresses": redis.Addr, "shutdown.delay": "3s"})
	}
	address := startHAProxy(t, nodes)
	token := mustTokenOfAgent(t, authz.RoleAgent)

	var clients []*client
	for range 4 {
		c := connect(t, clientOptions{URL: "https://" + address + "/rte", Token: token, Reconnect: true})
		var results []subscriptionResult
		c.mustInvoke(&results, "Subscribe", subscribeTo(ourAgent, "UserStatus"))
		clients = append(clients, c)
	}
	for _, node := range nodes {
		if n := node.metric("rte_hub_sessions_open"); n != 2 {
			t.Errorf("a node has %v sessions, want 2 of 4", n)
		}
	}
	publish(t, redis, lane(ourOrganization), userStatus(ourOrganization, ourAgent, 7))
	for _, c := range clients {
		if got := c.next().Data["activeQueues"]; got != 7.0 {
			t.Errorf("received event %v, want 7", got)
		}
	}

	// A node that stops sends its clients to the other one.
	nodes[0].stop()
	nodes[1].waitFor("all clients to come over", func() bool { return nodes[1].metric("rte_hub_sessions_open") == 4 })
}

// startHAProxy starts HAProxy with deploy/haproxy.cfg in front of two nodes and answers where it listens. Nothing is
// changed in the file but addresses, the name of the certificate and the number of connections.
func startHAProxy(t *testing.T, nodes [2]*server) string {
	t.Helper()
	haproxy := rtetest.MustLookPath(t, "haproxy", "apt-get install haproxy")
	config, err := os.ReadFile("../../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), rtetest.MustFreeAddr(t)
	text := string(config)
	for _, change := range [][2]string{
		{"maxconn 50000", "maxconn 1000"}, // what a machine for tests can do
		{"bind :8443", "bind " + address},
		{"/etc/haproxy/certs/rte.pem", mustWriteCertificate(t, dir)},
		{"check port 9090", "check"},
		{" resolvers containers", ""},
		{"server rte-1 rte-1:8080", checkedServer("rte-1", nodes[0])},
		{"server rte-2 rte-2:8080", checkedServer("rte-2", nodes[1])},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("deploy/haproxy.cfg has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	log := &logRecorder{}
	cmd := exec.CommandContext(t.Context(), haproxy, "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // killed with the test
		if strings.Contains(log.text(), "eyJ") {
			t.Error("the load balancer's log contains a token")
		}
		if t.Failed() {
			t.Logf("log of haproxy:\n%s", log.text())
		}
	})
	anyCertificate := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	nodes[0].waitFor("HAProxy to answer for the nodes", func() bool {
		response, err := anyCertificate.Get("https://" + address + "/rte")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode != http.StatusServiceUnavailable
	})
	return address
}

// checkedServer is the line of a node: clients on one port, checks on the other.
func checkedServer(name string, node *server) string {
	_, port, _ := strings.Cut(strings.TrimPrefix(node.ConsoleURL, "http://"), ":")
	return "server " + name + " " + node.Host + " port " + port
}

// mustWriteCertificate writes a certificate of the load balancer, signed by itself, with its key.
func mustWriteCertificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	path := filepath.Join(dir, "rte.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
