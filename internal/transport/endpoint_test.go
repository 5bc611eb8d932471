package transport_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/transport"
)

// The rows of section 1.3.
func TestEndpoint(t *testing.T) {
	s := startServer(t)
	live := s.negotiate("alice").ConnectionToken
	connection := s.connect()
	if response, _ := connection.upgrade("/rte?id="+live, "alice"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response.Status)
	}
	unused := s.negotiate("alice").ConnectionToken
	socket := upgradeHeaders
	stream := []string{"Accept: text/event-stream"}
	tests := []struct {
		name, method, target string
		headers              []string
		status               int
		text                 string
	}{
		{"WebSocket without id", "GET", "/rte", socket, 101, ""},
		{"WebSocket with an empty id", "GET", "/rte?id=", socket, 101, ""},
		{"WebSocket, trailing slash", "GET", "/rte/", socket, 101, ""},
		{"WebSocket, another case", "GET", "/RtE", socket, 101, ""},
		{"WebSocket with an unknown id", "GET", "/rte?id=unknown", socket, 404, "No Connection with that ID"},
		{"WebSocket with two ids", "GET", "/rte?id=" + live + "&id=" + unused, socket, 404, "No Connection with that ID"},
		{"WebSocket with an id in use", "GET", "/rte?id=" + live, socket, 409, ""},
		{"WebSocket with an id in use, name in another case", "GET", "/rte?ID=" + live, socket, 409, ""},
		{"GET without id", "GET", "/rte", nil, 400, "Connection ID required"},
		{"GET with an unknown id", "GET", "/rte?id=unknown", nil, 404, "No Connection with that ID"},
		{
			"GET with an id in use", "GET", "/rte?id=" + live, nil, 404,
			"LongPolling transport not supported by this end point type",
		},
		{
			"GET with an unused id", "GET", "/rte?id=" + unused, nil, 404,
			"LongPolling transport not supported by this end point type",
		},
		{"ServerSentEvents without id", "GET", "/rte", stream, 400, "Connection ID required"},
		{"ServerSentEvents with an unknown id", "GET", "/rte?id=unknown", stream, 404, "No Connection with that ID"},
		{
			"ServerSentEvents", "GET", "/rte?id=" + unused, stream, 404,
			"ServerSentEvents transport not supported by this end point type",
		},
		{"POST without id", "POST", "/rte", nil, 400, "Connection ID required"},
		{"POST with an unknown id", "POST", "/rte?id=unknown", nil, 404, "No Connection with that ID"},
		{
			"POST to a WebSocket", "POST", "/rte?id=" + live, nil, 405,
			"POST requests are not allowed for WebSocket connections.",
		},
		{"DELETE without id", "DELETE", "/rte", nil, 400, "Connection ID required"},
		{"DELETE with an unknown id", "DELETE", "/rte?id=unknown", nil, 404, "No Connection with that ID"},
		{
			"DELETE of a WebSocket", "DELETE", "/rte?id=" + live, nil, 400,
			"Cannot terminate this connection using the DELETE endpoint.",
		},
		{"PUT", "PUT", "/rte", nil, 405, ""},
		{"HEAD", "HEAD", "/rte", nil, 405, ""},
		{"OPTIONS that is no preflight", "OPTIONS", "/rte", nil, 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := s.connect()
			response, body := conn.do(test.method, test.target, "alice", test.headers...)
			conn.Close()
			if response.StatusCode != test.status || body != test.text {
				t.Errorf("%s %q", response.Status, body)
			}
			if kind := response.Header.Get("Content-Type"); test.status != 101 && kind != "text/plain" {
				t.Errorf("Content-Type %q", kind)
			}
			if polling := test.method == "GET" && test.headers == nil; polling !=
				(response.Header.Get("Cache-Control") == "no-cache, no-store" && response.Header.Get("Pragma") == "no-cache" &&
					response.Header.Get("Expires") == "Thu, 01 Jan 1970 00:00:00 GMT") {
				t.Errorf("caching: %v", response.Header)
			}
		})
	}
	connection.Close()
	s.eventually("the connection is removed", func() bool {
		response, _ := s.connect().upgrade("/rte?id="+live, "alice")
		return response.StatusCode == http.StatusNotFound
	})
}

// One of many simultaneous upgrades with one token succeeds.
func TestEndpoint_TokenRace(t *testing.T) {
	s := startServer(t)
	token := s.negotiate("alice").ConnectionToken
	var (
		wires    [20]*wire
		statuses [len(wires)]int
		racing   sync.WaitGroup
	)
	for i := range wires {
		wires[i] = s.connect()
	}
	for i, w := range wires {
		racing.Go(func() {
			response, _ := w.upgrade("/rte?id="+token, "alice")
			statuses[i] = response.StatusCode
		})
	}
	racing.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[101] != 1 || count[409] != len(wires)-1 {
		t.Error(count)
	}
}

func TestUpgrade_Malformed(t *testing.T) {
	s := startServer(t)
	change := func(from, to string) []string {
		var headers []string
		for _, header := range upgradeHeaders {
			if header = strings.Replace(header, from, to, 1); header != "" {
				headers = append(headers, header)
			}
		}
		return headers
	}
	tests := []struct {
		name    string
		headers []string
		status  int
	}{
		{"version 8", change("13", "8"), http.StatusUpgradeRequired},
		{"no version", change("Sec-WebSocket-Version: 13", ""), http.StatusUpgradeRequired},
		{"no key", change("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", ""), http.StatusBadRequest},
		{"key too short", change("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), http.StatusBadRequest},
		{"key not base64", change("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!!!"), http.StatusBadRequest},
		{"two keys", append(change("x", "x"), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), http.StatusBadRequest},
		{"a body", append(change("x", "x"), "Content-Length: 3\r\n\r\nabc"), http.StatusBadRequest},
		{"another protocol", change("websocket", "h2c"), http.StatusBadRequest},
		{"no Connection header", change("Connection: Upgrade", ""), http.StatusBadRequest},
		{
			"lists, in any case", change("Connection: Upgrade", "Connection: keep-alive, uPGRADE"),
			http.StatusSwitchingProtocols,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response, body := s.connect().do(http.MethodGet, "/rte", "alice", test.headers...)
			if response.StatusCode != test.status {
				t.Errorf("%s %q", response.Status, body)
			}
			if test.status == http.StatusUpgradeRequired && response.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("the answer lacks the right version: %v", response.Header)
			}
		})
	}
}

func TestMaxConnections(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.Connections = 2 })
	one := s.open("json")
	s.dial()
	if response, body := s.connect().upgrade("/rte", "alice"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("upgrade: %s %q", response.Status, body)
	}
	response, body := s.do(http.MethodPost, "/rte/negotiate", "alice")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("negotiate: %s %v %q", response.Status, response.Header, body)
	}
	one.Close()
	s.eventually("there is room again", func() bool {
		response, _ := s.do(http.MethodPost, "/rte/negotiate", "alice")
		return response.StatusCode == http.StatusOK
	})
	s.open("json")
}

func TestQuota(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.OrganizationConnections = 2 })
	one := s.open("json")
	s.dial() // in its handshake
	if response, body := s.connect().upgrade("/rte", "bob"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("upgrade: %s %q", response.Status, body)
	}
	if response, body := s.do(
		http.MethodPost, "/rte/negotiate", "bob",
	); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("negotiate: %s %q", response.Status, body)
	}
	if response, body := s.connect().upgrade("/rte", "carol"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("upgrade of another organization: %s %q", response.Status, body)
	}
	for _, request := range []string{"hub", "negotiate"} {
		if n := s.count("rte_transport_requests_refused_total", "request", request, "reason", "quota"); n != 1 {
			t.Errorf("%s: %v were counted", request, n)
		}
	}
	one.Close()
	s.eventually("there is room again", func() bool {
		response, _ := s.do(http.MethodPost, "/rte/negotiate", "bob")
		return response.StatusCode == http.StatusOK
	})
	s.open("json")
}

func TestNext(t *testing.T) {
	s := startServer(t, func(s *setup) {
		s.Path = "/live/hub/"
		s.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	for target, want := range map[string]int{
		"/": http.StatusTeapot, "/rte": http.StatusTeapot, "/live": http.StatusTeapot, "/live/hub/other": http.StatusTeapot,
		"/live/hub": http.StatusUnauthorized, "/live/hub/negotiate": http.StatusUnauthorized,
	} {
		if response, _ := s.do(http.MethodGet, target, ""); response.StatusCode != want {
			t.Errorf("%s: %s", target, response.Status)
		}
	}
}

// A proxy with rules for paths saw another path than the server, which decoded %2f.
func TestEndpoint_rawPath(t *testing.T) {
	s := startServer(t)
	for _, target := range []string{
		"/rte%2fnegotiate", "/rte%2Fnegotiate", "/%72te/negotiate", "/rte/negotiate%2f", "/rte%2frefresh",
	} {
		if response, _ := s.do(http.MethodPost, target, "alice"); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", target, response.Status)
		}
	}
	if response, _ := s.do(http.MethodPost, "/RTE/negotiate/", "alice"); response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
	umlaut := startServer(t, func(s *setup) { s.Path = "/gespr\u00e4che (neu)" })
	for target, want := range map[string]int{
		"/gespr%C3%A4che%20%28neu%29/negotiate": http.StatusOK, "/Gespr%c3%a4che%20%28neu%29/negotiate": http.StatusOK,
		"/gespr%C3%A4che%20%28neu%29%2fnegotiate": http.StatusNotFound,
	} {
		if response, _ := umlaut.do(http.MethodPost, target, "alice"); response.StatusCode != want {
			t.Errorf("%s: %s", target, response.Status)
		}
	}
}

// A request with a Content-Length and a Transfer-Encoding was answered, and its connection stayed open: a proxy that
// believes the length sees another request behind it than the server.
func TestEndpoint_refusesTwoLengths(t *testing.T) {
	s := startServer(t)
	for _, lengths := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n",
	} {
		w := s.connect()
		w.write([]byte("POST /rte/negotiate HTTP/1.1\r\nHost: rte\r\n" + aliceHeader + "\r\n" + lengths + "\r\n0\r\n\r\n" +
			"GET /rte HTTP/1.1\r\nHost: rte\r\n\r\n"))
		answer, err := io.ReadAll(w)
		text := string(answer)
		if err != nil || !strings.HasPrefix(text, "HTTP/1.1 400 ") || strings.Count(text, "HTTP/1.1") != 1 {
			t.Errorf("%q: answered %q, %v", lengths, text, err)
		}
	}
	response, _ := s.do(http.MethodPost, "/rte/negotiate", "alice")
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
}

// A wrong option is named, as in every constructor.
func TestNew_Options(t *testing.T) {
	good := transport.Options{Open: refuseAll, Verifier: bearers}
	if _, err := transport.New(good); err != nil {
		t.Error(err)
	}
	for named, change := range map[string]func(*transport.Options){
		"Options.Verifier is required":    func(o *transport.Options) { o.Verifier = nil },
		"Options.Open is required":        func(o *transport.Options) { o.Open = nil },
		`Options.Path "rte"`:              func(o *transport.Options) { o.Path = "rte" },
		`Options.Path ""`:                 func(o *transport.Options) { o.Path = "/" },
		"Options.Timeouts.Send must":      func(o *transport.Options) { o.Timeouts.Send = -1 },
		"Options.Limits.Connections must": func(o *transport.Options) { o.Limits.Connections = -1 },
		"Options.Limits.OrganizationConnections must not": func(
			o *transport.Options,
		) {
			o.Limits.OrganizationConnections = -1
		},
	} {
		o := good
		change(&o)
		if _, err := transport.New(o); err == nil || !strings.HasPrefix(err.Error(), "transport: "+named) {
			t.Errorf("%v, want %q", err, named)
		}
	}
}
