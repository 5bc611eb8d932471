package transport

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// plainHead is the head of an upgrade as clients send it. Tests change its lines.
var plainHead = []string{
	"GET /rte?id=abc.def&access_token=ghi HTTP/1.1",
	"Host: rte.example.com:8080",
	"Connection: keep-alive, Upgrade",
	"Upgrade: WebSocket",
	"Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Authorization: Bearer token",
	"Origin: https://desk.example.com",
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
}

// headWith returns plainHead with a line replaced, the one that begins with instead, or with a line added.
func headWith(instead, line string) []byte {
	lines := slices.Clone(plainHead)
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, instead) }); instead != "" {
		lines[i] = line
	} else {
		lines = append(lines, line)
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	return []byte(strings.Join(lines, "\r\n") + endOfHead)
}

func TestParseHead_Understood(t *testing.T) {
	for name, test := range map[string]struct {
		instead, line, path, query string
		authorization              []string
	}{
		"plain":                  {"GET", plainHead[0], "/rte", "id=abc.def&access_token=ghi", []string{"Bearer token"}},
		"no query":               {"GET", "GET /rte HTTP/1.1", "/rte", "", []string{"Bearer token"}},
		"empty query":            {"GET", "GET /rte? HTTP/1.1", "/rte", "", []string{"Bearer token"}},
		"two question marks":     {"GET", "GET /rte?a?b HTTP/1.1", "/rte", "a?b", []string{"Bearer token"}},
		"escapes in the query":   {"GET", "GET /rte?id=%41 HTTP/1.1", "/rte", "id=%41", []string{"Bearer token"}},
		"another path":           {"GET", "GET //x/../y HTTP/1.1", "//x/../y", "", []string{"Bearer token"}},
		"no token in the header": {"Authorization", "", "/rte", "id=abc.def&access_token=ghi", nil},
		"another scheme": {
			"Authorization", "authorization:Basic  x ", "/rte", "id=abc.def&access_token=ghi", []string{"Basic  x"},
		},
		"names in another case": {
			"Host", "hOST:  [::1]:80 ", "/rte", "id=abc.def&access_token=ghi", []string{"Bearer token"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, rest, ok := parseHead(append(headWith(test.instead, test.line), "behind"...))
			if !ok || h.path != test.path || h.rawQuery != test.query || !slices.Equal(h.authorization, test.authorization) ||
				h.accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || string(rest) != "behind" {
				t.Errorf("%+v, rest %q, %v", h, rest, ok)
			}
		})
	}
}

func TestParseHead_LeftToNetHTTP(t *testing.T) {
	for name, test := range map[string]struct{ instead, line string }{
		"POST":                       {"GET", "POST /rte HTTP/1.1"},
		"method in another case":     {"GET", "get /rte HTTP/1.1"},
		"HTTP/1.0":                   {"GET", "GET /rte HTTP/1.0"},
		"absolute form":              {"GET", "GET http://rte/rte HTTP/1.1"},
		"no target":                  {"GET", "GET  HTTP/1.1"},
		"asterisk":                   {"GET", "GET * HTTP/1.1"},
		"two spaces":                 {"GET", "GET  /rte HTTP/1.1"},
		"space in the target":        {"GET", "GET /rte?a b HTTP/1.1"},
		"space at the end":           {"GET", "GET /rte HTTP/1.1 "},
		"tab in the target":          {"GET", "GET /rte?\t HTTP/1.1"},
		"escape in the path":         {"GET", "GET /rt%65 HTTP/1.1"},
		"not ASCII":                  {"GET", "GET /rté HTTP/1.1"},
		"no request line":            {"GET", ""},
		"no host":                    {"Host", ""},
		"empty host":                 {"Host", "Host:"},
		"two hosts":                  {"", "Host: rte"},
		"odd host":                   {"Host", "Host: a/b"},
		"no connection":              {"Connection", ""},
		"connection kept":            {"Connection", "Connection: keep-alive"},
		"connection twice":           {"", "Connection: close"},
		"no upgrade":                 {"Upgrade", ""},
		"another upgrade":            {"Upgrade", "Upgrade: h2c"},
		"a list of upgrades":         {"Upgrade", "Upgrade: websocket, h2c"},
		"upgrade twice":              {"", "Upgrade: websocket"},
		"no version":                 {"Sec-WebSocket-Version", ""},
		"another version":            {"Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"},
		"version twice":              {"", "Sec-WebSocket-Version: 13"},
		"no key":                     {"Sec-WebSocket-Key", ""},
		"short key":                  {"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhl"},
		"key that is no base64":      {"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!"},
		"key twice":                  {"", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="},
		"two authorizations":         {"", "Authorization: Bearer other"},
		"a body of no bytes":         {"", "Content-Length: 0"},
		"a body":                     {"", "Content-Length: 5"},
		"transfer coding":            {"", "transfer-encoding: chunked"},
		"trailers":                   {"", "Trailer: X"},
		"expectation":                {"", "Expect: 100-continue"},
		"folded line":                {"Origin", "Origin: https://desk\r\n .example.com"},
		"space before a colon":       {"Origin", "Origin : x"},
		"space before a name":        {"Origin", " Origin: x"},
		"name with a bracket":        {"Origin", "Ori(gin: x"},
		"no name":                    {"Origin", ": x"},
		"no colon":                   {"Origin", "Origin"},
		"tab in a value":             {"Origin", "Origin:\tx"},
		"zero in a value":            {"Origin", "Origin: a\x00b"},
		"value that is not ASCII":    {"Origin", "Origin: \xff"},
		"line that ends with LF":     {"Origin", "Origin: x\nX: y"},
		"carriage return in a value": {"Origin", "Origin: x\ry"},
	} {
		t.Run(name, func(t *testing.T) {
			if h, _, ok := parseHead(headWith(test.instead, test.line)); ok {
				t.Errorf("understood: %+v", h)
			}
		})
	}
	whole := headWith("", "X: y")
	for n := range whole {
		if _, _, ok := parseHead(whole[:n]); ok {
			t.Errorf("understood: the first %d bytes", n)
		}
	}
}

// net/http reads every head that parseHead accepts in the same way.
func FuzzParseHead(f *testing.F) {
	f.Add(headWith("", "X: y"))
	f.Add(append(headWith("Connection", "connection:upgrade,,close"), 0x81, 0x80))
	f.Add(headWith("GET", "GET //x?ID=1&id=2&Features=a;b&%zz&ACCESS_token=a+b&#x?y HTTP/1.1"))
	f.Add(headWith("GET", "GET /:@[]{}|\\^\"<>#%? HTTP/1.1"))
	f.Add(headWith("Host", "Host: [::1%25eth0]:80"))
	f.Add(headWith("Authorization", "Authorization:  bearer \t x "))
	f.Add(headWith("Origin", "Pragma: no-cache\r\nOrigin: x\r\n folded"))
	f.Add(headWith("Origin", "Content-Length: 0\r\nTransfer-Encoding: identity"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, rest, ok := parseHead(p)
		if !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(p))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http: %v", err)
		}
		left, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		accept, ok := acceptKey(r.Header.Values("Sec-WebSocket-Key"))
		if r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.ProtoAtLeast(1, 2) || r.ContentLength != 0 ||
			r.Body != http.NoBody || len(r.TransferEncoding) != 0 || r.Header.Get("Expect") != "" || !isWebSocket(r) ||
			r.Host == "" || r.Header.Get("Sec-WebSocket-Version") != webSocketVersion || !ok {
			t.Errorf("not granted by way of net/http: %+v", r)
		}
		if r.URL.Path != h.path || accept != h.accept || !bytes.Equal(left, rest) ||
			!slices.Equal(r.Header.Values("Authorization"), h.authorization) {
			t.Errorf("%+v and %q; net/http: %+v and %q", h, rest, r, left)
		}
		if r.URL.RawQuery != h.rawQuery {
			t.Errorf("query %q; net/http: %q", h.rawQuery, r.URL.RawQuery)
		}
		for _, name := range []string{"id", "features", "access_token"} {
			ours, theirs := parseQuery(h.rawQuery).values(name), query(r.URL.Query()).values(name)
			slices.Sort(ours) // names in several cases come in any order
			slices.Sort(theirs)
			if !slices.Equal(ours, theirs) {
				t.Errorf("%s %q; net/http: %q", name, ours, theirs)
			}
		}
	})
}
