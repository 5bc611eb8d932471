package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTap_opensAgainAfterARestart taps a node, starts the node again on the same port, and gets the events after it.
func TestTap_opensAgainAfterARestart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	args := serveArgs("--console.listen="+address, "--console.token=0123456789abcdef0123456789abcdef")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := start(t, args...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, stderr := &recorder{lines: make(chan string, 100)}, &recorder{lines: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{
			"tap", "--operator", "http://" + address, "--token-file", file, "--event", "UserCallInComing", "--count", "2",
		}, nil, strings.NewReader(""), stdout, stderr)
	}()
	expect := func(lines <-chan string, text string) {
		t.Helper()
		for timeout := time.After(patience); ; {
			select {
			case line := <-lines:
				if strings.Contains(line, text) {
					return
				}
			case err := <-ended:
				t.Fatalf("the tap ended: %v, stderr: %s", err, stderr.text())
			case <-timeout:
				t.Fatalf("waited in vain for %q; stderr: %s", text, stderr.text())
			}
		}
	}
	publish := func(n int) {
		t.Helper()
		_, line := callEvent(n)
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/publish",
			strings.NewReader(line))
		request.Header.Set("Authorization", "Bearer 0123456789abcdef0123456789abcdef")
		if status, answer := node.do(request); status != http.StatusOK {
			t.Fatalf("published: %d %s", status, answer)
		}
	}
	expect(stderr.lines, "joined")
	publish(1)
	expect(stdout.lines, `no_subscribers UserCallInComing user of `+testUser)
	node.stop()
	expect(stderr.lines, "trying again")
	node = start(t, args...)
	expect(stderr.lines, "joined")
	publish(2)
	if err := <-ended; err != nil || strings.Contains(stdout.text(), "4144") {
		t.Errorf("the tap ended with %v and printed\n%s", err, stdout.text())
	}
}

func TestTap_exitCodes(t *testing.T) {
	node := start(t, serveArgs("--console.token=0123456789abcdef0123456789abcdef")...)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no server":   {[]string{"--operator", "http://127.0.0.1:9"}, 1, "connection refused"},
		"wrong token": {[]string{"--operator", node.operators, "--token", "wrong"}, 1, "401"},
		"wrong filter": {
			[]string{"--operator", node.operators, "--token", token32, "--entity", "x"}, 2, "entity: must be a GUID",
		},
		"wrong format":  {[]string{"--operator", node.operators, "--output", "xml"}, 2, "--output"},
		"no URL":        {[]string{"--operator", "x"}, 2, "--operator"},
		"no token file": {[]string{"--operator", node.operators, "--token-file", "/nowhere"}, 2, "--token-file"},
		"both kinds":    {[]string{"--operator", node.operators, testUser}, 2, "either"},
		"neither":       {nil, 2, "either"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), append([]string{"tap"}, test.args...), nil, strings.NewReader(""), io.Discard, io.Discard)
			if err == nil || exitCode(err) != test.code || !strings.Contains(err.Error(), test.want) {
				t.Errorf("exit code %d, %v", exitCode(err), err)
			}
		})
	}
}

const token32 = "0123456789abcdef0123456789abcdef"

func TestReadEvents(t *testing.T) {
	for name, test := range map[string]struct{ stream, want string }{
		"frames":             {"event: a\ndata: 1\n\nevent:b\ndata:2\n\n", "a=1;b=2;"},
		"comments":           {": hi\n\nevent: a\n: there\ndata: 1\n\n", "a=1;"},
		"several lines":      {"data: 1\ndata: 2\n\n", "message=1\n2;"},
		"an event cut off":   {"event: a\ndata: 1\n", ""},
		"without data":       {"event: a\n\ndata: 1\n\n", "message=1;"},
		"carriage returns":   {"event: a\r\ndata: 1\r\n\r\n", "a=1;"},
		"fields of no use":   {"id: 7\nretry: 1\nevent: a\ndata\n\n", "a=;"},
		"an empty data line": {"event: a\ndata:\n\n", "a=;"},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			err := readEvents(strings.NewReader(test.stream), func() {}, func(event, data string) error {
				got.WriteString(event + "=" + data + ";")
				return nil
			})
			if got.String() != test.want || err == nil {
				t.Errorf("read %q, %v", got.String(), err)
			}
		})
	}
	stopped := errors.New("enough")
	if err := readEvents(strings.NewReader("data: 1\n\ndata: 2\n\n"), func() {}, func(string, string) error {
		return stopped
	}); !errors.Is(err, stopped) {
		t.Errorf("ended with %v", err)
	}
}

// FuzzTap_readEvents reads any answer of a server.
func FuzzTap_readEvents(f *testing.F) {
	f.Add([]byte("event: event\ndata: {\"at\":\"2026-01-02T15:04:05Z\",\"ageMs\":3,\"data\":{}}\n\n"))
	f.Add([]byte("event: hello\ndata: {\"nodes\":[\"b\",\"a\"]}\n\nevent: node\ndata: {\"node\":\"a\"}\n\n"))
	f.Add([]byte("event: dropped\r\ndata: {\"count\":18446744073709551615}\r\n\r\n: x"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		form := outputText
		l := &liveTap{form: &form, out: io.Discard, notices: io.Discard}
		if readEvents(bytes.NewReader(stream), func() {}, l.print) == nil {
			t.Error("a stream that ends is no error")
		}
	})
}
