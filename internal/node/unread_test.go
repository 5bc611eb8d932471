package node

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// listening starts a server with handler and returns its address.
func listening(t *testing.T, handler http.Handler) string {
	t.Helper()
	s, err := newServer("127.0.0.1:0", 0, zap.NewNop(), &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(t.Context()) }()
	t.Cleanup(func() {
		s.close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.listener.Addr().String()
}

// A caller that requested the end of the connection, or got a refusal, met a reset while it sent its body. It did not
// see the answer.
func TestServer_answersBeforeItClosesAnUnreadBody(t *testing.T) {
	address := listening(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/closes" {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	for _, size := range []int{100, 100_000, 8 << 20} {
		for _, path := range []string{"/", "/closes"} {
			t.Run(fmt.Sprint(path, size), func(t *testing.T) {
				for range 20 {
					conn, err := net.Dial("tcp", address)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", path, size)
					if path == "/" {
						head += "Connection: close\r\n"
					}
					// A client that reads only after it has sent everything.
					if _, err := conn.Write(append([]byte(head+"\r\n"), bytes.Repeat([]byte("x"), size)...)); err != nil {
						t.Fatal("send:", err)
					}
					if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 418 ") {
						t.Fatalf("got %q, %v", answer, err)
					}
				}
			})
		}
	}
}

// The answer does not wait for a body that never comes, and the connection ends soon after it.
func TestServer_waitsForNoBody(t *testing.T) {
	address := listening(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	part := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\nx"
	if _, err := io.WriteString(conn, part); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 418 ") {
		t.Errorf("got %q, %v", answer, err)
	}
}
