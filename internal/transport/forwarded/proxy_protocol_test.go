package forwarded_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	version2  = signature + "\x21\x11\x00\x0c\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x67\x1f\x90"
)

func TestReadHeader(t *testing.T) {
	long := "PROXY TCP4 " + strings.Repeat("1", 200)
	for name, test := range map[string]struct {
		first, more string
		client      string // empty: none
		rest        string
		fails       bool
	}{
		"version 1": {
			first:  "PROXY TCP4 198.51.100.7 10.0.0.1 4711 8080\r\nGET /",
			client: "198.51.100.7:4711", rest: "GET /",
		},
		"version 1, IPv6":       {first: "PROXY TCP6 2001:db8::7 ::1 4711 8080\r\n", client: "[2001:db8::7]:4711"},
		"version 1, unknown":    {first: "PROXY UNKNOWN\r\nGET /", rest: "GET /"},
		"version 1, two pieces": {first: "PROXY TCP4 198.51", more: ".100.7 10.0.0.1 4711 8080\r\n", fails: true},
		"version 1, too long":   {first: long, fails: true},
		"version 1, malformed":  {first: "PROXY TCP4 me you 1 2\r\n", fails: true},
		"version 2":             {first: version2 + "GET /", client: "198.51.100.7:4711", rest: "GET /"},
		"version 2, two pieces": {
			first: version2[:20], more: version2[20:] + "GET /",
			client: "198.51.100.7:4711", rest: "GET /",
		},
		"version 2, local": {first: signature + "\x20\x00\x00\x00GET /", rest: "GET /"},
		"version 2, with TLVs": {
			first:  signature + "\x21\x11\x00\x0f" + version2[16:] + "\x04\x00\x00GET /",
			client: "198.51.100.7:4711", rest: "GET /",
		},
		"version 2, cut": {first: version2[:20], fails: true},
		"version 2, UDP": {first: signature + "\x21\x12\x00\x0c" + version2[16:], fails: true},
		"version 2, too long": {
			first: signature + "\x21\x11\xff\xff" + version2[16:] + strings.Repeat("x", 70_000),
			fails: true,
		},
		"long request": {first: "GET /" + strings.Repeat("x", 3000), rest: "GET /" + strings.Repeat("x", 3000)},
		"POST":         {first: "POST /rte/negotiate", rest: "POST /rte/negotiate"},
		"version 1 and much": {
			first: "PROXY UNKNOWN\r\n" + strings.Repeat("x", 3000), rest: strings.Repeat("x", 3000),
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, rest, err := forwarded.ReadHeader([]byte(test.first), strings.NewReader(test.more))
			absent := !strings.HasPrefix(test.first, "PROXY") && !strings.HasPrefix(test.first, signature)
			if (err != nil) != (test.fails || absent) || errors.Is(err, forwarded.ErrAbsent) != absent {
				t.Fatal(err)
			}
			got := ""
			if client.IsValid() {
				got = client.String()
			}
			if got != test.client || string(rest) != test.rest {
				t.Errorf("client %q, rest %.20q; want %q and %.20q", got, rest, test.client, test.rest)
			}
		})
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 198.51.100.7 10.0.0.1 4711 8080\r\nGET /"), []byte("x"))
	f.Add([]byte(version2), []byte("GET /"))
	f.Fuzz(func(t *testing.T, first, more []byte) {
		_, rest, err := forwarded.ReadHeader(first, strings.NewReader(string(more)))
		if len(rest) > len(first)+len(more) {
			t.Errorf("%d bytes of %d", len(rest), len(first)+len(more))
		}
		if errors.Is(err, forwarded.ErrAbsent) && !strings.HasPrefix(string(rest), string(first)) {
			t.Errorf("%q became %q", first, rest)
		}
	})
}

// A sender that stops within a header is cut off by the deadline of its connection.
func TestReadHeader_reportsTheErrorOfTheConnection(t *testing.T) {
	_, _, err := forwarded.ReadHeader([]byte(version2[:20]), errorReader{})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
