package main

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustDialRaw opens a connection to a port, with TLS if it has any.
func mustDialRaw(t *testing.T, address string, secure bool) net.Conn {
	t.Helper()
	dialer := &net.Dialer{Timeout: patience}
	conn, err := dialer.Dial("tcp", address)
	if secure && err == nil {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// The operator port answered a request with both a Content-Length and a Transfer-Encoding, and kept the connection: a
// proxy that believes the length sees another request behind it than the server. The port for clients did the same with
// a Transfer-Encoding in HTTP/1.0. The second request of each row must have no answer.
func TestServe_refusesHiddenRequests(t *testing.T) {
	certificate := rtetest.MustMakeCertificate(t).ServerFile
	plain := start(t, serveArgs()...)
	secure := start(t, serveArgs("--console.tls.cert_file="+certificate, "--console.tls.key_file="+certificate)...)
	const second = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	keep := "Host: x\r\nConnection: keep-alive\r\n"
	for name, row := range map[string]struct{ version, lengths, operators string }{
		"length and chunks":  {"HTTP/1.1", "Content-Length: 42\r\nTransfer-Encoding: chunked\r\n", "400"},
		"chunks and length":  {"HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 42\r\n", "400"},
		"two lengths":        {"HTTP/1.1", "Content-Length: 42\r\nContent-Length: 5\r\n", "400"},
		"another encoding":   {"HTTP/1.1", "Content-Length: 42\r\nTransfer-Encoding: gzip\r\n", "400"},
		"an encoding alone":  {"HTTP/1.1", "Transfer-Encoding: gzip\r\n", "501"},
		"a continued line":   {"HTTP/1.1", "Transfer-Encoding:\r\n chunked\r\n", "400"},
		"chunks in HTTP/1.0": {"HTTP/1.0", "Transfer-Encoding: chunked\r\n", "400"},
	} {
		for port, p := range map[string]*running{"clients": plain, "operators": plain, "operators with TLS": secure} {
			t.Run(name+"/"+port, func(t *testing.T) {
				address, path := strings.TrimPrefix(p.operators, "http://"), "/api/publish"
				if port == "clients" {
					address, path = strings.TrimPrefix(p.clients, "http://"), "/rte/negotiate"
				}
				conn := mustDialRaw(t, address, p == secure)
				defer conn.Close()
				if _, err := io.WriteString(conn, "POST "+path+" "+row.version+"\r\n"+keep+row.lengths+"\r\n"+second); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(conn)
				text := string(answer)
				if err != nil || strings.Count(text, "HTTP/1.") != 1 {
					t.Fatalf("answered %q, %v", text, err)
				}
				if port != "clients" && !strings.HasPrefix(text, "HTTP/1.1 "+row.operators+" ") {
					t.Errorf("answered %q, want %s", text, row.operators)
				}
			})
		}
	}
	// A plain request to a port with TLS is answered, as net/http does.
	conn := mustDialRaw(t, strings.TrimPrefix(secure.operators, "http://"), false)
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") {
		t.Errorf("answered %q, %v", answer, err)
	}
}
