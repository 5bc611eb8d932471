package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustForward starts HAProxy, which passes TCP connections on to a port with a header of the PROXY protocol. option is
// send-proxy or send-proxy-v2. It returns the address for clients.
func mustForward(t *testing.T, to, option string) string {
	t.Helper()
	program := rtetest.MustLookPath(t, "haproxy", "apt-get install haproxy")
	address := rtetest.MustFreeAddr(t)
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n"+
		"listen clients\n bind %s\n server node %s %s\n", address, to, option)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", path)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	eventually(t, "HAProxy", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return address
}

// TestServe_readsProxyHeadersInFrontOfTLS connects clients of 127.0.0.2 through HAProxy, which passes TLS on.
func TestServe_readsProxyHeadersInFrontOfTLS(t *testing.T) {
	certificate := rtetest.MustMakeCertificate(t)
	p := start(t, serveArgs("--tls.cert_file="+certificate.ServerFile, "--tls.key_file="+certificate.ServerFile,
		"--proxy_protocol=required", "--trusted_proxies=127.0.0.1", "--timeouts.read_header=1s")...)
	port := strings.TrimPrefix(p.clients, "http://")
	authorities := x509.NewCertPool()
	authority, err := os.ReadFile(certificate.AuthorityFile)
	if err != nil || !authorities.AppendCertsFromPEM(authority) {
		t.Fatal(err)
	}
	secure := &tls.Config{RootCAs: authorities}
	transport := &http.Transport{
		TLSClientConfig: secure, DisableKeepAlives: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}
	token := mustServiceToken(t, testOrganization)
	for _, option := range []string{"send-proxy", "send-proxy-v2"} {
		address := mustForward(t, port, option)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ws, _, err := websocket.Dial(ctx, "wss://"+address+"/rte", &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
		})
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", option, err)
		}
		c := &client{t: t, ws: ws}
		c.send(`{"protocol":"json","version":1}`)
		c.expect("{}")
		c.subscribe(testUser, "UserAlert")
		p.post("/api/publish", testJSON)
		c.expect("MessageReceived")
		_, answer := fetch(t, http.MethodGet, p.operators+"/api/connections")
		var list console.ConnectionList
		if err := json.Unmarshal([]byte(answer), &list); err != nil || len(list.Connections) != 1 ||
			list.Connections[0].Address != "127.0.0.2" {
			t.Errorf("%s: %v %s", option, err, answer)
		}
		_ = ws.CloseNow()
		eventually(t, "the end of the session", func() bool { return p.metric("rte_hub_sessions_open") == "0" })
	}
	if n := p.metric(`rte_transport_proxy_headers_total{result="named"}`); n == "0" || n == "1" {
		t.Errorf("%s headers are counted", n)
	}

	// Connections without a good header end, at the latest at the time limit for it.
	for header, result := range map[string]string{
		"": "", "PROXY TCP4 nonsense\r\n": "malformed", "\x16\x03\x01": "absent",
	} {
		conn, err := net.Dial("tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, header)
		if data, err := io.ReadAll(conn); len(data) > 0 && result != "absent" {
			t.Errorf("%q: got %q, %v", header, data, err)
		}
		_ = conn.Close()
		name := fmt.Sprintf("rte_transport_proxy_headers_total{result=%q}", result)
		if result != "" && p.metric(name) != "1" {
			t.Errorf("%s is %s", name, p.metric(name))
		}
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}} // not a trusted proxy
	if conn, err := tls.DialWithDialer(from, "tcp", port, secure); err == nil {
		_ = conn.Close()
		t.Error("a client without a proxy is accepted")
	}
}

// TestServe_acceptsClientsWithoutProxyWhileOptional connects with TLS, without a header and with one.
func TestServe_acceptsClientsWithoutProxyWhileOptional(t *testing.T) {
	certificate := rtetest.MustMakeCertificate(t)
	p := start(t, serveArgs("--tls.cert_file="+certificate.ServerFile, "--tls.key_file="+certificate.ServerFile,
		"--proxy_protocol=optional", "--trusted_proxies=127.0.0.1")...)
	port := strings.TrimPrefix(p.clients, "http://")
	for _, header := range []string{"", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n"} {
		conn, err := net.Dial("tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, header)
		secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		_ = secured.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(secured, "POST /rte/negotiate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(secured)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401") {
			t.Errorf("%q: %q, %v", header, answer, err)
		}
		_ = conn.Close()
	}
	eventually(t, "the address in the log", func() bool { return strings.Contains(p.output.text(), `"192.0.2.1`) })
}
