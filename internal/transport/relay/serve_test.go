package relay_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
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

// A name that no header can carry is unknown. Each node once counted as unreachable after two such requests, and no
// client could continue through another node.
func TestFind_aNameThatNoHeaderCarries(t *testing.T) {
	entry, _ := startNodes(t, echo)
	for _, id := range []string{
		"owner-1\n", "owner\r\nRte-Client: 192.0.2.1:1", "owner 1", "owner\x00", "owner\xff",
		"owner" + strings.Repeat("x", 1000),
	} {
		if address, ok := entry.Find(t.Context(), id); ok {
			t.Errorf("%q is on %s", id, address)
		}
	}
	if n := entry.count("rte_relay_unreachable_total", ""); n != 0 {
		t.Errorf("the owner counts as unreachable %v times", n)
	}
	if n := entry.count("rte_relay_finds_total", "unknown"); n != 6 {
		t.Errorf("%v counted", n)
	}
	if _, ok := entry.Find(t.Context(), "owner-1"); !ok {
		t.Error("the owner is not found")
	}
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
