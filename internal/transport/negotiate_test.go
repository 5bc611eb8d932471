package transport_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/transport"
)

func TestN1_PostOnly(t *testing.T) {
	s := startServer(t)
	for _, method := range []string{
		http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodHead, "QUERY",
	} {
		response, body := s.do(method, "/rte/negotiate", "alice")
		if response.StatusCode != http.StatusMethodNotAllowed || body != "" ||
			response.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: %s, %q, %q", method, response.Status, response.Header.Get("Content-Type"), body)
		}
	}
}

func TestN2_Request(t *testing.T) {
	s := startServer(t)
	for _, target := range []string{
		"/rte/negotiate?negotiateVersion=1",
		"/rte/negotiate?NegotiateVersion=1",
		"/rte/negotiate?features=notices&NEGOTIATEVERSION=1&x=%20",
		"/rte/negotiate/?negotiateVersion=1",
		"/RTE/Negotiate?negotiateVersion=1",
	} {
		response, body := s.do(http.MethodPost, target, "alice")
		if response.StatusCode != http.StatusOK || !strings.HasPrefix(body, `{"negotiateVersion":1,`) {
			t.Errorf("%s: %s %s", target, response.Status, body)
		}
	}
	response, body := s.do(http.MethodPost, "/rte/other", "alice")
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s %s", response.Status, body)
	}
}

func TestN3_Response(t *testing.T) {
	s := startServer(t)
	response, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice")
	if response.StatusCode != http.StatusOK ||
		response.Header.Get("Content-Type") != "application/json" ||
		response.Header.Get("Content-Length") != strconv.Itoa(len(body)) ||
		!json.Valid([]byte(body)) || strings.TrimSpace(body) != body {
		t.Errorf("%s %v %q", response.Status, response.Header, body)
	}
}

func TestN4_VersionChoice(t *testing.T) {
	const notInteger = `{"error":"The client requested a non-integer protocol version."}`
	tests := []struct {
		name, query, want string
		minimum           int
	}{
		{"absent", "", `{"negotiateVersion":0,`, 0},
		{"0", "negotiateVersion=0", `{"negotiateVersion":0,`, 0},
		{"1", "negotiateVersion=1", `{"negotiateVersion":1,`, 0},
		{"with space", "negotiateVersion=%201", `{"negotiateVersion":1,`, 0},
		{"2", "negotiateVersion=2", `{"negotiateVersion":1,`, 0},
		{"99", "negotiateVersion=99", `{"negotiateVersion":1,`, 0},
		{"text", "negotiateVersion=one", notInteger, 0},
		{"nothing", "negotiateVersion=", notInteger, 0},
		{"fraction", "negotiateVersion=1.0", notInteger, 0},
		{"out of range", "negotiateVersion=99999999999", notInteger, 0},
		{"twice", "negotiateVersion=1&negotiateVersion=1", notInteger, 0},
		{
			"negative", "negotiateVersion=-1",
			`{"error":"The client requested version '-1', but the server does not support this version."}`, 0,
		},
		{
			"below the minimum", "negotiateVersion=0",
			`{"error":"The client requested version '0', but the server does not support this version."}`, 1,
		},
		{
			"absent, below the minimum", "",
			`{"error":"The client requested version '0', but the server does not support this version."}`, 1,
		},
		{"the minimum", "negotiateVersion=1", `{"negotiateVersion":1,`, 1},
	}
	servers := []*server{startServer(t), startServer(t, func(s *setup) { s.Protocol.MinNegotiateVersion = 1 })}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response, body := servers[test.minimum].do(http.MethodPost, "/rte/negotiate?"+test.query, "alice")
			if response.StatusCode != http.StatusOK || !strings.HasPrefix(body, test.want) {
				t.Errorf("%s %s", response.Status, body)
			}
		})
	}
}

func TestN5_Version1(t *testing.T) {
	s := startServer(t)
	shape := regexp.MustCompile(`^\{"negotiateVersion":1,"connectionId":"[A-Za-z0-9_-]{22}",` +
		`"connectionToken":"[A-Za-z0-9_.-]+",` +
		`"availableTransports":\[\{"transport":"WebSockets","transferFormats":\["Text","Binary"\]\}\]\}$`)
	if _, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice"); !shape.MatchString(body) {
		t.Error(body)
	}
}

func TestN6_Version0(t *testing.T) {
	s := startServer(t)
	shape := regexp.MustCompile(`^\{"negotiateVersion":0,"connectionId":"([A-Za-z0-9_.-]+)",` +
		`"availableTransports":\[\{"transport":"WebSockets","transferFormats":\["Text","Binary"\]\}\]\}$`)
	_, body := s.do(http.MethodPost, "/rte/negotiate", "alice")
	match := shape.FindStringSubmatch(body)
	if match == nil {
		t.Fatal(body)
	}
	if response, body := s.connect().upgrade(
		"/rte?id="+match[1], "alice",
	); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("with the connection id: %s %s", response.Status, body)
	}
}

func TestN7_StatefulReconnect(t *testing.T) {
	for name, test := range map[string]struct {
		window  time.Duration
		query   string
		granted bool
	}{
		"asked for":                {time.Second, "negotiateVersion=1&useStatefulReconnect=true", true},
		"as .NET writes booleans":  {time.Second, "negotiateVersion=1&useStatefulReconnect=True", true},
		"not asked for":            {time.Second, "negotiateVersion=1", false},
		"declined":                 {time.Second, "negotiateVersion=1&useStatefulReconnect=false", false},
		"not a boolean":            {time.Second, "negotiateVersion=1&useStatefulReconnect=1", false},
		"without a version":        {time.Second, "useStatefulReconnect=true", false},
		"switched off by the node": {0, "negotiateVersion=1&useStatefulReconnect=true", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, func(s *setup) { s.Resume.Window = test.window })
			_, body := s.do(http.MethodPost, "/rte/negotiate?"+test.query, "alice")
			granted := strings.HasPrefix(body, `{"useStatefulReconnect":true,"negotiateVersion":1,`)
			if granted != test.granted || !granted && strings.Contains(body, "Stateful") {
				t.Error(body)
			}
		})
	}
}

func TestN8_IDs(t *testing.T) {
	s := startServer(t)
	seen := map[string]bool{}
	for range 50 {
		answer := s.negotiate("alice")
		for _, id := range []string{answer.ConnectionID, answer.ConnectionToken} {
			if seen[id] {
				t.Fatalf("%s was given out before", id)
			}
			seen[id] = true
		}
	}
}

// The public id, which other clients may see, opens no connection.
func TestN8_ConnectionIDIsNoToken(t *testing.T) {
	s := startServer(t)
	answer := s.negotiate("alice")
	if response, _ := s.connect().upgrade(
		"/rte?id="+answer.ConnectionID, "alice",
	); response.StatusCode != http.StatusNotFound {
		t.Error(response.Status)
	}
}

// An error has status 200 and one property, the text. TestN4 has the texts.
func TestN9_Error(t *testing.T) {
	s := startServer(t)
	response, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=x", "alice")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" ||
		body != `{"error":"The client requested a non-integer protocol version."}` {
		t.Errorf("%s %v %s", response.Status, response.Header, body)
	}
}

// Any node accepts the token of another, so negotiate never redirects.
func TestN10_NoRedirect(t *testing.T) {
	secret := func(s *setup) { s.Secret = []byte("of all nodes") }
	one, two, stranger := startServer(t, secret), startServer(t, secret), startServer(t)
	_, body := one.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice")
	if strings.Contains(body, `"url"`) || strings.Contains(body, `"accessToken"`) {
		t.Error(body)
	}
	token := one.negotiate("alice").ConnectionToken
	if response, body := stranger.connect().upgrade(
		"/rte?id="+token, "alice",
	); response.StatusCode != http.StatusNotFound {
		t.Errorf("at a node with another secret: %s %s", response.Status, body)
	}
	if response, body := two.connect().upgrade(
		"/rte?id="+token, "alice",
	); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("at another node: %s %s", response.Status, body)
	}
}

func TestN11_WebSocketsOnly(t *testing.T) {
	s := startServer(t)
	_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice")
	var answer struct {
		AvailableTransports []struct {
			Transport       string
			TransferFormats []string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.AvailableTransports) != 1 || answer.AvailableTransports[0].Transport != "WebSockets" ||
		strings.Join(answer.AvailableTransports[0].TransferFormats, " ") != "Text Binary" {
		t.Error(body)
	}
}

// This checks the option; TestTokens_Expire checks the time.
func TestN12_UnusedIDExpires(t *testing.T) {
	if _, err := transport.New(transport.Options{
		Open: refuseAll, Verifier: bearers, Tokens: transport.TokenOptions{TTL: 14 * time.Second},
	}); err == nil {
		t.Error("tokens that live shorter than 15 s are accepted")
	}
}

// Java reads every value of the answer that it knows with nextString, which fails for null.
func TestN13_NoNulls(t *testing.T) {
	s := startServer(t)
	for _, query := range []string{"", "?negotiateVersion=1", "?negotiateVersion=x"} {
		if _, body := s.do(http.MethodPost, "/rte/negotiate"+query, "alice"); strings.Contains(body, "null") {
			t.Error(body)
		}
	}
}
