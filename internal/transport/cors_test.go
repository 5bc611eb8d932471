package transport_test

import (
	"net/http"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

func refuseAll(hub.Conn, *authz.Claims) (transport.Session, error) { return nil, hub.ErrDraining }

const desk = "https://desk.example.com"

func withOrigins(s *setup) { s.Origins = []string{desk, "http://localhost:3000"} }

func TestCORS_Preflight(t *testing.T) {
	s := startServer(t, withOrigins)
	const requested = "authorization,x-requested-with,x-signalr-user-agent,x-mine"
	for _, target := range []string{"/rte/negotiate?negotiateVersion=1", "/rte"} {
		response, body := s.do(http.MethodOptions, target, "", "Origin: "+desk,
			"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+requested)
		if response.StatusCode != http.StatusNoContent || body != "" {
			t.Errorf("%s: %s %q", target, response.Status, body)
		}
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin":      desk,
			"Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods":     "GET, POST",
			"Access-Control-Allow-Headers":     requested,
			"Access-Control-Max-Age":           "7200",
			"Vary":                             "Origin",
		} {
			if got := response.Header.Get(header); got != want {
				t.Errorf("%s: %s: %q, want %q", target, header, got, want)
			}
		}
	}
	response, _ := s.do(http.MethodOptions, "/rte/negotiate", "", "Origin: "+desk, "Access-Control-Request-Method: POST")
	if got := response.Header.Get(
		"Access-Control-Allow-Headers",
	); got != "authorization, x-requested-with, x-signalr-connection-token, x-signalr-user-agent" {
		t.Errorf("headers that were not requested: %q", got)
	}
}

func TestCORS_OtherOrigins(t *testing.T) {
	s := startServer(t, withOrigins)
	for _, origin := range []string{
		"https://evil.example.com", "http://desk.example.com", "https://desk.example.com.evil.com",
		"https://desk.example.com:8443", "null", "*",
	} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			response, _ := s.do(method, "/rte/negotiate", "alice", "Origin: "+origin, "Access-Control-Request-Method: POST")
			for header := range response.Header {
				if len(header) > 14 && header[:14] == "Access-Control" {
					t.Errorf("%s, %s: %s", method, origin, header)
				}
			}
			if response.Header.Get("Vary") != "Origin" {
				t.Errorf("%s, %s: Vary %q", method, origin, response.Header.Get("Vary"))
			}
		}
	}
}

// A browser hides the status of an answer without the headers from the page.
func TestCORS_OnEveryAnswer(t *testing.T) {
	s := startServer(t, withOrigins)
	for _, test := range []struct {
		method, target, token string
		status                int
	}{
		{http.MethodPost, "/rte/negotiate", "alice", http.StatusOK},
		{http.MethodPost, "/rte/negotiate", "", http.StatusUnauthorized},
		{http.MethodPost, "/rte/negotiate", "mallory", http.StatusUnauthorized},
		{http.MethodGet, "/rte/negotiate", "alice", http.StatusMethodNotAllowed},
		{http.MethodGet, "/rte", "alice", http.StatusBadRequest},
		{http.MethodGet, "/rte?id=x", "alice", http.StatusNotFound},
	} {
		response, _ := s.do(test.method, test.target, test.token, "Origin: "+desk)
		if response.StatusCode != test.status || response.Header.Get("Access-Control-Allow-Origin") != desk ||
			response.Header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s %s as %q: %s %v", test.method, test.target, test.token, response.Status, response.Header)
		}
	}
}

// CORS does not apply to WebSockets, and a page cannot send a token that it does not have.
func TestCORS_WebSocketFromAnyOrigin(t *testing.T) {
	s := startServer(t, withOrigins)
	if response, body := s.connect().upgrade(
		"/rte", "alice", "Origin: https://other.example.com",
	); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("%s %s", response.Status, body)
	}
}

func TestCORS_NotConfigured(t *testing.T) {
	s := startServer(t)
	response, _ := s.do(http.MethodPost, "/rte/negotiate", "alice", "Origin: "+desk)
	if response.Header.Get("Access-Control-Allow-Origin") != "" || response.Header.Get("Vary") != "" {
		t.Error(response.Header)
	}
}

// Pages of subdomains, of applications and of browser extensions.
func TestCORS_originsOfApplications(t *testing.T) {
	s := startServer(t, func(s *setup) {
		s.Origins = []string{"https://*.example.com", "capacitor://localhost", "chrome-extension://abc", "app://desk", "null"}
	})
	for origin, allowed := range map[string]bool{
		"https://a.b.example.com": true, "capacitor://localhost": true, "chrome-extension://abc": true, "app://desk": true,
		"null": true, "https://example.com": false, "app://other": false,
	} {
		response, _ := s.do(http.MethodPost, "/rte/negotiate", "alice", "Origin: "+origin)
		if got := response.Header.Get("Access-Control-Allow-Origin"); (got == origin) != allowed {
			t.Errorf("%s: %q", origin, got)
		}
	}
}

func TestNew_Origins(t *testing.T) {
	for _, origin := range []string{
		"*", "desk.example.com", "https://", "https://a.example.com/", "https://a.example.com/x",
	} {
		_, err := transport.New(transport.Options{Open: refuseAll, Verifier: bearers, Origins: []string{origin}})
		if err == nil {
			t.Errorf("%q is accepted", origin)
		}
	}
}
