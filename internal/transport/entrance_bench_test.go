package transport_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// answerToUpgrade is the answer to an upgrade with the key of RFC 6455.
const answerToUpgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// One connection: dialed, upgraded, reset. The case "client" has the cost of the client and the port alone.
func BenchmarkUpgrade(b *testing.B) {
	for name, serve := range map[string]func(*transport.Handler, *http.Server, net.Listener) error{
		"Client": func(_ *transport.Handler, _ *http.Server, l net.Listener) error {
			request := make([]byte, 4<<10)
			for {
				conn, err := l.Accept()
				if err != nil {
					return err
				}
				_, _ = conn.Read(request)
				_, _ = conn.Write([]byte(answerToUpgrade))
				_, _ = conn.Read(request)
				_ = conn.Close()
			}
		},
		"NetHTTP":  withoutEntrance,
		"Entrance": (*transport.Handler).Serve,
	} {
		b.Run(name, func(b *testing.B) { benchmarkUpgrade(b, serve) })
	}
}

func benchmarkUpgrade(b *testing.B, serve func(*transport.Handler, *http.Server, net.Listener) error) {
	b.Helper()
	h, err := transport.New(transport.Options{
		Verifier: bearers, Open: func(hub.Conn, *authz.Claims) (transport.Session, error) { return nil, hub.ErrDraining },
	})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web, served := &http.Server{Handler: h, ReadHeaderTimeout: patience}, make(chan error, 1)
	go func() { served <- serve(h, web, listener) }()
	request := []byte(upgradeHead("/rte", aliceHeader))
	answer := make([]byte, len(answerToUpgrade))
	b.ReportAllocs()
	for b.Loop() {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != answerToUpgrade {
			b.Fatalf("%q, %v", answer, err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	_ = web.Close()
	_ = listener.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		b.Error(err)
	}
	_ = h.Shutdown(b.Context())
}
