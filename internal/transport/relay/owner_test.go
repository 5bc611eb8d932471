package relay_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/transport/relay"
)

// startOwner starts an owner of all connections that answers requests of clients with any bytes, and returns its
// address.
func startOwner(t *testing.T, answer func(*tls.Conn)) string {
	t.Helper()
	config, err := relay.ClientConfig(secret)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: config.Certificates, ClientAuth: tls.RequireAnyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	serve := func(conn *tls.Conn) {
		defer conn.Close()
		for in := bufio.NewReader(conn); ; {
			request, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if request.Header.Get("Rte-Find") == "" {
				answer(conn)
				continue
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(conn.(*tls.Conn)) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// An owner that an attacker controls costs a node neither much memory nor a place for ever.
func TestUpgrade_anOwnerThatAnswersWithoutEnd(t *testing.T) {
	const most = 64 << 20
	sent := make(chan int, 1)
	for name, answer := range map[string]func(*tls.Conn){
		"a head without end": func(conn *tls.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\n")
			n, piece := 0, strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 64)
			for n < most {
				written, err := io.WriteString(conn, piece)
				if n += written; err != nil {
					break
				}
			}
			sent <- n
		},
		"a body that never comes": func(conn *tls.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n")
			sent <- 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := startOwner(t, answer) // which ends after the node: the node keeps connections to it
			entry := startNode(t, "entry", nil)
			entry.know(address)
			if _, _, status := entry.upgrade("x"); status != http.StatusNotFound {
				t.Errorf("%d", status)
			}
			if n := <-sent; n >= most {
				t.Errorf("the node took %d bytes", n)
			}
			entry.eventually("the place is free", func() bool { return entry.count("rte_relay_passed", "") == 0 })
		})
	}
}
