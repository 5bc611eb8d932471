package relay_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/transport/relay"
)

// A node with another secret, or any other program, gets no bytes. A metric counts it.
func TestServer_refusesStrangers(t *testing.T) {
	_, owner := startNodes(t, func(http.ResponseWriter, *http.Request) { t.Error("a stranger reached the transport") })
	stranger := startNode(t, "stranger", nil, func(o *relay.Options) { o.Secret = []byte("another secret") })
	stranger.know(owner.addr())
	if _, ok := stranger.Find(t.Context(), "owner-1"); ok {
		t.Error("a stranger learned of a connection")
	}
	for name, hello := range map[string]func(net.Conn){
		"plain HTTP":     func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nRte-Find: owner\r\n\r\n") },
		"no certificate": func(c net.Conn) { shake(c, &tls.Config{InsecureSkipVerify: true}) },
		"an old TLS": func(c net.Conn) {
			shake(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		},
		"nothing, and waits": func(net.Conn) {},
	} {
		before := owner.count("rte_relay_refused_total", "handshake")
		conn, err := net.Dial("tcp", owner.addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		hello(conn)
		_, _ = io.Copy(io.Discard, conn) // until the node ends it
		conn.Close()
		owner.eventually(name+" is counted", func() bool {
			return owner.count("rte_relay_refused_total", "handshake") > before
		})
	}
}

// shake performs a handshake of TLS and requests something.
func shake(conn net.Conn, config *tls.Config) {
	secured := tls.Client(conn, config)
	_, _ = io.WriteString(secured, "GET / HTTP/1.1\r\nHost: rte\r\nRte-Find: owner\r\n\r\n")
	_, _ = io.Copy(io.Discard, secured)
}

// Connections of other programs have a bound, and do not delay nodes.
func TestServer_boundsHandshakes(t *testing.T) {
	entry, owner := startNodes(t, echo)
	for range 400 {
		conn, err := net.Dial("tcp", owner.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	owner.eventually("some are refused", func() bool { return owner.count("rte_relay_refused_total", "crowded") >= 100 })
	owner.eventually("the others have had their time", func() bool {
		_, ok := entry.Find(t.Context(), "owner-1")
		return ok
	})
}

// A node leaves an unreachable node out for a moment. It does not delay the answers of the others.
func TestFind_withoutADeadNode(t *testing.T) {
	entry, owner := startNodes(t, echo)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	dead.Close()
	entry.know(address, owner.addr())
	if got, ok := entry.Find(t.Context(), "owner-1"); !ok || got != owner.addr() {
		t.Errorf("%q %v", got, ok)
	}
	if _, ok := entry.Find(t.Context(), "other"); ok {
		t.Error("found a connection that no node has")
	}
	if n := entry.count("rte_relay_finds_total", "unknown"); n != 1 {
		t.Errorf("%v counted", n)
	}
}
