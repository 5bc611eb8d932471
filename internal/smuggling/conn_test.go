package smuggling_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/internal/smuggling"
)

// mustServe serves requests by net/http behind the guard. The answer to each names its path and its body.
func mustServe(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "body", http.StatusUnprocessableEntity)
			return
		}
		fmt.Fprintf(w, "%s=%s;", r.URL.Path, body)
	}))
	server.Listener = smuggling.Checked{Listener: server.Listener}
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// exchange sends bytes in pieces and returns the statuses and the bodies of all answers until the server closes the
// connection.
func exchange(t *testing.T, address, sent string, piece int) (statuses []int, bodies string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(rtetest.Patience)); err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk([]byte(sent), piece) {
		if _, err := conn.Write(part); err != nil {
			break // the server has closed it
		}
	}
	_ = conn.(*net.TCPConn).CloseWrite() // the server may have closed it
	in := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, bodies
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		statuses = append(statuses, response.StatusCode)
		if response.StatusCode == http.StatusOK {
			bodies += string(body)
		}
	}
}

// A plain request for /next follows each row. The server must serve it if and only if the end of the row is clear.
func TestConn_refusesWhatParsersCutDifferently(t *testing.T) {
	address := mustServe(t)
	const next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(headers, body string) string { return "POST /a HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body }
	const hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, row := range map[string]struct {
		sent   string
		status int
		bodies string
	}{
		"no body":     {"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 200, "/a=;/next=;"},
		"length":      {post("Content-Length: 3\r\n", "abc"), 200, "/a=abc;/next=;"},
		"length zero": {post("content-length:0 \r\n", ""), 200, "/a=;/next=;"},
		"chunks": {
			post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"), 200, "/a=abc;/next=;",
		},
		"chunks, other case": {
			post("TRANSFER-ENCODING:  Chunked\r\n", "a\r\n0123456789\r\n0\r\nT: x\r\n\r\n"), 200, "/a=0123456789;/next=;",
		},
		"a head in a body": {
			post("Content-Length: 32\r\n", "GET / HTTP/1.1\r\nContent-Length: "), 200,
			"/a=GET / HTTP/1.1\r\nContent-Length: ;/next=;",
		},
		"a head in a chunk": {
			post("Transfer-Encoding: chunked\r\n", "5\r\nGET\r\n\r\n0\r\n\r\n"), 200, "/a=GET\r\n;/next=;",
		},
		"an empty line ahead": {post("Content-Length: 1\r\n", "a") + "\r\n", 200, "/a=a;/next=;"},

		"length, then chunks":    {post("Content-Length: 44\r\nTransfer-Encoding: chunked\r\n", hidden), 400, ""},
		"chunks, then length":    {post("Transfer-Encoding: chunked\r\nContent-Length: 44\r\n", hidden), 400, ""},
		"length zero and chunks": {post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", hidden), 400, ""},
		"two lengths":            {post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400, ""},
		"the same length twice":  {post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400, ""},
		"a list of lengths":      {post("Content-Length: 3, 3\r\n", "abc"), 400, ""},
		"a signed length":        {post("Content-Length: +3\r\n", "abc"), 400, ""},
		"a negative length":      {post("Content-Length: -3\r\n", "abc"), 400, ""},
		"a hexadecimal length":   {post("Content-Length: 0x3\r\n", "abc"), 400, ""},
		"an empty length":        {post("Content-Length:\r\n", "abc"), 400, ""},
		"a huge length":          {post("Content-Length: 9223372036854775808\r\n", "abc"), 400, ""},
		"a padded length":        {post("Content-Length: "+strings.Repeat(" ", 200)+"3\r\n", "abc"), 400, ""},
		"padded chunks": {
			post("Transfer-Encoding: "+strings.Repeat(" ", 200)+"chunked\r\n", hidden), 400, "",
		},
		"a space before colon":   {post("Content-Length : 3\r\n", "abc"), 400, ""},
		"a space before chunked": {post("Transfer-Encoding : chunked\r\n", hidden), 400, ""},
		"a continued line":       {post("Transfer-Encoding:\r\n chunked\r\n", hidden), 400, ""},
		"a line continued by TAB": {
			post("X: a\r\n\tTransfer-Encoding: chunked\r\n", ""), 400, "",
		},
		"another encoding": {post("Transfer-Encoding: gzip, chunked\r\n", hidden), 501, ""},
		"identity":         {post("Transfer-Encoding: identity\r\n", ""), 501, ""},
		"two encodings": {
			post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", hidden), 501, "",
		},
		"chunks twice": {
			post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", hidden), 501, "",
		},
		"a vertical tab":      {post("Transfer-Encoding: \vchunked\r\n", hidden), 400, ""},
		"lines without CR":    {"POST /a HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc", 400, ""},
		"one line without CR": {post("X: a\nTransfer-Encoding: chunked\r\n", hidden), 400, ""},
		"an end without CR":   {"GET /a HTTP/1.1\r\nHost: x\r\n\n", 400, ""},
		"a CR in a line":      {post("X: a\rTransfer-Encoding: chunked\r\n", hidden), 400, ""},
		"HTTP/1.0 with chunks": {
			"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden, 400, "",
		},
		"HTTP/1.0, chunks, length": {
			"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400, "",
		},
		"a chunk without CR":  {post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n"), 422, ""},
		"a longer chunk":      {post("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n"), 422, ""},
		"a signed chunk":      {post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n"), 422, ""},
		"a hexadecimal chunk": {post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"), 422, ""},
		"a chunk of 2^64": {
			post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\na\r\n0\r\n\r\n"), 422, "",
		},
		"a trailer without CR": {
			post("Transfer-Encoding: chunked\r\n", "0\r\nX: a\n\nPOST / HTTP/1.1\r\nContent-Length: 60\r\n\r\n"), 422, "",
		},
	} {
		for _, piece := range []int{1 << 20, 7, 1} {
			t.Run(fmt.Sprintf("%s/in pieces of %d", name, piece), func(t *testing.T) {
				statuses, bodies := exchange(t, address, row.sent+next, piece)
				if len(statuses) == 0 || statuses[0] != row.status || bodies != row.bodies {
					t.Errorf("the answers are %v %q, want %d first, and %q", statuses, bodies, row.status, row.bodies)
				}
				if row.status != 200 && len(statuses) != 1 {
					t.Errorf("the connection went on after a refusal: %v", statuses)
				}
			})
		}
	}
}

// FuzzGuard checks that net/http and the guard cut accepted bytes in the same places.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\na\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var guard smuggling.Guard
		good, ok := guard.Check(bytes.Clone(sent))
		var parts smuggling.Guard
		for i := range sent {
			if _, partOK := parts.Check(sent[i : i+1]); !partOK && ok {
				t.Fatal("the guard refuses in parts what it accepts at once")
			}
		}
		if !ok || good != len(sent) {
			return
		}
		// net/http reads requests; the guard of each beginning must be between two requests at the same places.
		source := bytes.NewReader(sent)
		in := bufio.NewReaderSize(iotest.OneByteReader(source), 1<<16)
		for {
			request, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				return
			}
			at := len(sent) - source.Len() - in.Buffered()
			var before smuggling.Guard
			before.Check(bytes.Clone(sent[:at]))
			if !before.Between() {
				t.Fatalf("net/http ends a request at %d, and the guard does not", at)
			}
		}
	})
}
