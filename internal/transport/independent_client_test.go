package transport_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// The client is a strict WebSocket library that we did not write.
func TestIndependentClient(t *testing.T) {
	s := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, compression := range map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "offers compression": websocket.CompressionContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/rte", &websocket.DialOptions{
				HTTPHeader: http.Header{"Authorization": {"Bearer alice"}}, CompressionMode: compression,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			expect := func(want string) {
				t.Helper()
				if kind, got, err := conn.Read(ctx); err != nil || kind != websocket.MessageText || string(got) != want+separator {
					t.Fatalf("%s %q, %v; want %q", kind, got, err, want)
				}
			}
			if err := conn.Write(ctx, websocket.MessageText, []byte(handshake)); err != nil {
				t.Fatal(err)
			}
			expect("{}")
			// Written in parts, so that the library sends fragments.
			message, err := conn.Writer(ctx, websocket.MessageBinary)
			if err != nil {
				t.Fatal(err)
			}
			call := `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[],"x":"` +
				strings.Repeat("x", 20_000) + `"}` + separator
			for part := range slices.Chunk([]byte(call), 1000) {
				if _, err := message.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := message.Close(); err != nil {
				t.Fatal(err)
			}
			expect(`{"type":3,"invocationId":"1","result":true}`)
			pinged := make(chan error, 1)
			go func() { // the read below finds the answer
				pinged <- errors.Join(conn.Ping(ctx), conn.Write(ctx, websocket.MessageText, []byte(call)))
			}()
			expect(`{"type":3,"invocationId":"1","result":true}`)
			if err := <-pinged; err != nil {
				t.Error(err)
			}
			if err := conn.Close(websocket.StatusNormalClosure, "enough"); err != nil {
				t.Errorf("the close handshake: %v", err)
			}
		})
	}
}

// fragile is a session that panics.
type fragile struct{ transport.Session }

func (f fragile) Invoke(context.Context, *hub.Invocation) { panic("a bug") }

func TestPanic_EndsOneConnection(t *testing.T) {
	s := startServer(t, func(s *setup) {
		open := s.Open
		s.Open = func(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
			session, err := open(conn, claims)
			return fragile{session}, err
		}
	})
	w, other := s.open("json"), s.open("json")
	w.text(`{"type":1,"target":"UnsubscribeAll","arguments":[]}` + separator)
	w.expectEnd()
	other.expectNothing()
	s.eventually("the connection is removed", func() bool { return s.Connections() == 1 })
	if n := s.logs.FilterMessage("[unexpected] connection handler panicked").Len(); n != 1 {
		t.Errorf("%d entries in the log", n)
	}
}

func TestMetrics(t *testing.T) {
	s := startServer(t)
	s.dial()
	s.open("json")
	packed := s.open("messagepack")
	for protocol, want := range map[string]float64{"none": 1, "json": 1, "messagepack": 1} {
		s.eventually("the connections of "+protocol+" are counted", func() bool {
			return s.count("rte_transport_connections", "protocol", protocol) == want
		})
	}
	packed.Close()
	s.eventually("the connection is counted out", func() bool {
		return s.count("rte_transport_connections", "protocol", "messagepack") == 0
	})
	s.do(http.MethodPost, "/rte/negotiate", "mallory")
	if got := s.count("rte_transport_requests_refused_total", "request", "negotiate", "reason", "token"); got != 1 {
		t.Errorf("%v negotiations refused", got)
	}
	problems, err := testutil.GatherAndLint(s.metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "rte_transport_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}
