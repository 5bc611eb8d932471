package transport_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

func TestHandshake_Accepted(t *testing.T) {
	s := startServer(t)
	for name, request := range map[string]string{
		"as .NET sends it":            `{"protocol":"json","version":1}`,
		"version 2":                   `{"protocol":"json","version":2}`,
		"version 0":                   `{"protocol":"json","version":0}`,
		"negative version":            `{"protocol":"json","version":-1}`,
		"name in another case":        `{"protocol":"JSON","version":1}`,
		"another order, more, spaces": ` { "x":[{}], "version" : 1 , "protocol" : "json" } `,
		"escapes":                     `{"prot\u006fcol":"js\u006fn","version":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := s.dial()
			w.text(request + separator)
			w.expectText("{}")
			w.expectNothing()
		})
	}
	if ok := s.count("rte_transport_handshakes_total"); ok != 7 {
		t.Errorf("%v handshakes counted", ok)
	}
}

func TestHandshake_Failed(t *testing.T) {
	const unexpected = `{"error":"An unexpected error occurred during connection handshake."}`
	s := startServer(t)
	for name, test := range map[string]struct{ request, want, reason string }{
		"unknown protocol": {
			`{"protocol":"xyz","version":1}`, `{"error":"The protocol 'xyz' is not supported."}`, "unknown_protocol",
		},
		"protocol that needs escapes": {
			`{"protocol":"<'\"\u0000>","version":1}`, `{"error":"The protocol '<'\"\u0000>' is not supported."}`,
			"unknown_protocol",
		},
		"version 3": {
			`{"protocol":"json","version":3}`,
			`{"error":"The server does not support version 3 of the 'json' protocol."}`, "unsupported_version",
		},
		"version 3, MessagePack in another case": {
			`{"protocol":"MessagePack","version":3}`,
			`{"error":"The server does not support version 3 of the 'MessagePack' protocol."}`, "unsupported_version",
		},
		"not JSON":                 {`hello`, unexpected, "malformed"},
		"nothing":                  {``, unexpected, "malformed"},
		"an array":                 {`[]`, unexpected, "malformed"},
		"no protocol":              {`{"version":1}`, unexpected, "malformed"},
		"no version":               {`{"protocol":"json"}`, unexpected, "malformed"},
		"protocol a number":        {`{"protocol":1,"version":1}`, unexpected, "malformed"},
		"version a string":         {`{"protocol":"json","version":"1"}`, unexpected, "malformed"},
		"version out of range":     {`{"protocol":"json","version":9999999999}`, unexpected, "malformed"},
		"properties in other case": {`{"Protocol":"json","Version":1}`, unexpected, "malformed"},
		"not UTF-8":                {"{\"protocol\":\"\xff\",\"version\":1}", unexpected, "malformed"},
		"a ping":                   {`{"type":6}`, unexpected, "malformed"},
		"too long": {
			`{"protocol":"json","version":1,"x":"` + strings.Repeat("x", 32768) + `"}`,
			`{"error":"Handshake was canceled."}`, "too_large",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.count("rte_transport_handshakes_failed_total", "reason", test.reason)
			w := s.dial()
			w.text(test.request + separator)
			w.expectText(test.want)
			w.expectClose(1000)
			if after := s.count("rte_transport_handshakes_failed_total", "reason", test.reason); after != before+1 {
				t.Errorf("%v handshakes failed with reason %s, before %v", after, test.reason, before)
			}
		})
	}
}

// The largest handshake has 32768 bytes with its separator.
func TestHandshake_Largest(t *testing.T) {
	s := startServer(t)
	frame := `{"protocol":"json","version":1,"x":""}` + separator
	request := strings.Replace(frame, `""`, `"`+strings.Repeat("x", 32768-len(frame))+`"`, 1)
	w := s.dial()
	w.text(request)
	w.expectText("{}")
}

func TestHandshake_Timeout(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Handshake = 50 * time.Millisecond })
	for name, begin := range map[string]string{"nothing comes": "", "half of it comes": `{"protocol":`} {
		t.Run(name, func(t *testing.T) {
			w := s.dial()
			if begin != "" {
				w.text(begin)
			}
			w.expectText(`{"error":"Handshake was canceled."}`)
			w.expectClose(1000)
		})
	}
	if n := s.count("rte_transport_handshakes_failed_total", "reason", "timeout"); n != 2 {
		t.Errorf("%v handshakes timed out", n)
	}
}

// A client whose session could not be opened must not reconnect.
func TestD9_SessionRefused(t *testing.T) {
	s := startServer(t, func(s *setup) {
		s.Open = func(hub.Conn, *authz.Claims) (transport.Session, error) {
			return nil, errors.New("no room in the house")
		}
	})
	w := s.dial()
	w.text(handshake)
	w.expectText("{}")
	w.expectText(`{"type":7,"error":"Connection closed with an error."}`)
	w.expectClose(1000)
	packed := s.dial()
	packed.text(strings.Replace(handshake, "json", "messagepack", 1))
	packed.expect(opBinary, "{}"+separator)
	packed.expect(opBinary, "\x25\x93\x07\xd9\x20Connection closed with an error.\xc2")
	packed.expectClose(1000)
}

// The steps of a node that stops (1.9).
func TestDrain(t *testing.T) {
	s := startServer(t)
	early, open, packed := s.dial(), s.open("json"), s.open("messagepack")
	token := s.negotiate("alice").ConnectionToken
	silent := s.dial()

	s.Drain()
	if response, body := s.do(
		http.MethodPost, "/rte/negotiate", "alice",
	); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("negotiate: %s %q", response.Status, body)
	}
	for _, target := range []string{"/rte", "/rte?id=" + token} {
		if response, body := s.connect().upgrade(target, "alice"); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("upgrade: %s %q", response.Status, body)
		}
	}
	if response, _ := s.do(http.MethodPost, "/rte/negotiate", ""); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("negotiate without a token: %s", response.Status)
	}
	if result, failure := open.call("1", "UnsubscribeAll"); result != "true" {
		t.Errorf("connections that are open go on: %s %s", result, failure)
	}

	if err := s.hub.Drain(t.Context(), hub.Pace{Over: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	open.expectText(`{"type":7,"allowReconnect":true}`)
	open.expectClose(1000)
	packed.expect(opBinary, "\x04\x93\x07\xc0\xc3")
	packed.expectClose(1000)
	early.text(handshake)
	early.expectText("{}")
	early.expectText(`{"type":7,"allowReconnect":true}`)
	early.expectClose(1000)

	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { done <- s.Shutdown(ctx) }()
	silent.expectText(`{"error":"Handshake was canceled."}`)
	silent.expectClose(1000)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if response, _ := s.connect().upgrade("/rte", "alice"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %s", response.Status)
	}
}

// Shutdown aborts the remaining connections when its time is over.
func TestShutdown_Aborts(t *testing.T) {
	s := startServer(t)
	open, early := s.open("json"), s.dial()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	open.expectEnd()
	for err := error(nil); err == nil; { // the answer to its handshake may have come through or not
		_, _, err = early.next()
	}
}

// A token that is revoked between its verification and the handshake opens no session.
func TestHandshake_Revoked(t *testing.T) {
	s := startServer(t, func(o *setup) { o.hub.Authorization.Revoked = func(*authz.Claims) bool { return true } })
	w := s.dial()
	w.text(`{"protocol":"json","version":1}` + separator)
	w.expectText("{}")
	w.expectText(`{"type":7,"error":"Connection closed with an error."}`)
	w.expectClose(1000)
	if n := s.count("rte_transport_handshakes_failed_total", "reason", "revoked"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}
