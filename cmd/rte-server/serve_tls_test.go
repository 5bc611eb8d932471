package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// peerOf returns the serial number of the certificate of a port and its protocol; empty if there is no connection.
func peerOf(address string, config *tls.Config) (serial, protocol string) {
	config.InsecureSkipVerify, config.NextProtos = true, []string{"h2", "http/1.1"}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		return "", ""
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return state.PeerCertificates[0].SerialNumber.String(), state.NegotiatedProtocol
}

// TestServe_renewsCertificates renews the certificates of both ports, with a client that stays connected.
func TestServe_renewsCertificates(t *testing.T) {
	first, second := rtetest.MustMakeCertificate(t), rtetest.MustMakeCertificate(t)
	pem := func(c *rtetest.Certificate) []byte {
		t.Helper()
		text, err := os.ReadFile(c.ServerFile)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	file := t.TempDir() + "/port.pem"
	rtetest.MustReplaceFile(t, file, pem(first))
	p := start(t, serveArgs("--tls.cert_file="+file, "--tls.key_file="+file,
		"--console.tls.cert_file="+file, "--console.tls.key_file="+file)...)
	clients, operators := strings.TrimPrefix(p.clients, "http://"), strings.TrimPrefix(p.operators, "http://")
	httpClient := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}, Timeout: patience}
	metric := func(name string) string {
		t.Helper()
		_, body := fetchWith(t, httpClient, http.MethodGet, "https://"+operators+"/metrics")
		for line := range strings.Lines(body) {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(first.AuthorityFile)
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "wss://"+clients+"/rte", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + mustServiceToken(t, testOrganization)}},
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	c := &client{t: t, ws: ws}
	c.send(`{"protocol":"json","version":1}`)
	if got := c.next(); got != "{}" {
		t.Fatalf("handshake: %s", got)
	}
	if answer := c.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		t.Fatal(answer)
	}
	for _, address := range []string{clients, operators} {
		serial, protocol := peerOf(address, &tls.Config{})
		if serial != first.Server.SerialNumber.String() || protocol != "http/1.1" {
			t.Errorf("certificate %s, protocol %q", serial, protocol)
		}
		if old, _ := peerOf(address, &tls.Config{MaxVersion: tls.VersionTLS11}); old != "" {
			t.Error("TLS 1.1 is accepted")
		}
	}
	for _, port := range []string{"clients", "operators"} {
		name := `rte_tls_certificate_expiry_timestamp_seconds{port="` + port + `"}`
		if at, _ := strconv.ParseFloat(metric(name), 64); int64(at) != first.Server.NotAfter.Unix() {
			t.Errorf("%s is %v", name, at)
		}
		if n := metric(`rte_tls_handshakes_failed_total{port="` + port + `"}`); n == "0" {
			t.Errorf("no failed handshake of the port for %s is counted", port)
		}
	}
	if strings.Contains(p.output.text(), "TLS handshake error") {
		t.Error("the log has a line for a failed handshake")
	}
	mustCommand(t, "", "health", "--console.listen="+operators, "--console.tls.cert_file="+file,
		"--console.tls.key_file="+file)
	if _, _, err := command(t, "", "health", "--console.listen="+operators, "--console.tls.cert_file="+second.ServerFile,
		"--console.tls.key_file="+second.ServerFile); err == nil {
		t.Error("health accepts another certificate than that of the configuration")
	}

	rtetest.MustReplaceFile(t, file, []byte("not a certificate"))
	refused := `rte_tls_certificate_reloads_total{port="clients",result="refused"}`
	eventually(t, "a refusal", func() bool { return metric(refused) == "1" })
	if serial, _ := peerOf(clients, &tls.Config{}); serial != first.Server.SerialNumber.String() {
		t.Errorf("certificate %s after a faulty file", serial)
	}
	rtetest.MustReplaceFile(t, file, pem(second))
	for _, address := range []string{clients, operators} {
		eventually(t, "the new certificate", func() bool {
			serial, _ := peerOf(address, &tls.Config{})
			return serial == second.Server.SerialNumber.String()
		})
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+operators+"/api/publish",
		strings.NewReader(eventLine(1)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := httpClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("published: %v", err)
	}
	response.Body.Close()
	c.expect(`"id":"0d000000-0000-4000-8000-000000000001"`)
	p.follow()() // reads the metrics once: the recorder may not have read those of the reloads, and the end is too late
	began := time.Now()
	p.cancel()
	c.expect(`"type":7`)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the client was notified of the stop after %s", took)
	}
}

func TestConfig_checksTLSOfPorts(t *testing.T) {
	for want, args := range map[string][]string{
		"tls.cert_file: must be set together":         {"--tls.cert_file=/x"},
		"console.tls.cert_file: must be set together": {"--console.tls.key_file=/x"},
		"tls.cert_file: open /no/such: no such file":  {"--tls.cert_file=/no/such", "--tls.key_file=/no/such"},
	} {
		_, stderr, err := command(t, "", append([]string{"config", "check"}, args...)...)
		if exitCode(err) != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v\n%s\nwant %s", err, stderr, want)
		}
	}
}
