package transport_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/transport"
)

// upgradeHead returns the head of a plain upgrade of a target, with more headers.
func upgradeHead(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: rte\r\n" + strings.Join(append(headers, upgradeHeaders...), "\r\n") +
		"\r\n\r\n"
}

const aliceHeader = "Authorization: Bearer alice"

// volatile matches the parts that differ between two answers to the same request.
var volatile = regexp.MustCompile(`Date: [^\r]*|"connection(Id|Token)":"[^"]*"|Content-Length: 2\d\d|Retry-After: \d+`)

// exchange sends pieces and calls between between two of them. It returns all bytes of the server until the end of the
// connection, which comes at the latest after the last piece.
func (s *server) exchange(pieces []string, between func(), keepOpen bool) string {
	s.t.Helper()
	w := s.connect()
	for i, piece := range pieces {
		if i > 0 {
			between()
		}
		w.write([]byte(piece))
	}
	if !keepOpen {
		_ = w.Conn.(*net.TCPConn).CloseWrite()
	}
	reported, err := io.ReadAll(w)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Fatal(err)
	}
	return volatile.ReplaceAllString(string(reported), "*")
}

// The entrance and net/http give the same answers.
func TestEntrance_SameAnswers(t *testing.T) {
	handshake := string(frame(fin|opText, []byte(`{"protocol":"json","version":1}`+separator)))
	welcome := "\x81\x03{}" + separator
	tests := []struct {
		name     string
		pieces   []string // %id is replaced by a connection token
		prepare  func(*server)
		keepOpen bool
		begins   string
		ends     string
		taken    float64
	}{
		{name: "upgrade", pieces: []string{upgradeHead("/rte", aliceHeader)}, begins: "HTTP/1.1 101 ", taken: 1},
		{
			name: "token in the query", pieces: []string{upgradeHead("/RTE/?access_token=alice")}, begins: "HTTP/1.1 101 ",
			taken: 1,
		},
		{
			name: "escaped token in the query", pieces: []string{upgradeHead("/rte?access_token=%61lice")},
			begins: "HTTP/1.1 101 ", taken: 1,
		},
		{name: "negotiated", pieces: []string{upgradeHead("/rte?id=%id", aliceHeader)}, begins: "HTTP/1.1 101 ", taken: 1},
		{
			name: "bytes behind the head", pieces: []string{upgradeHead("/rte", aliceHeader) + handshake},
			begins: "HTTP/1.1 101 ", ends: welcome, taken: 1,
		},
		{
			name: "head in two segments", pieces: []string{
				upgradeHead("/rte")[:30], upgradeHead("/rte", aliceHeader)[30:] + handshake,
			},
			begins: "HTTP/1.1 101 ", ends: welcome,
		},
		{
			name: "head of more than a buffer", pieces: []string{
				upgradeHead("/rte", aliceHeader, "X: "+strings.Repeat("x", 4100)) + handshake,
			},
			begins: "HTTP/1.1 101 ", ends: welcome,
		},
		{name: "escape in the path", pieces: []string{upgradeHead("/%72te", aliceHeader)}, begins: "HTTP/1.1 404 "},
		{name: "bad token", pieces: []string{upgradeHead("/rte", "Authorization: Bearer mallory")}, begins: "HTTP/1.1 401 "},
		{name: "no token", pieces: []string{upgradeHead("/rte")}, begins: "HTTP/1.1 401 "},
		{name: "two tokens", pieces: []string{upgradeHead("/rte?access_token=bob", aliceHeader)}, begins: "HTTP/1.1 400 "},
		{name: "unknown id", pieces: []string{upgradeHead("/rte?id=unknown", aliceHeader)}, begins: "HTTP/1.1 404 "},
		{
			name: "id of another", pieces: []string{upgradeHead("/rte?id=%id", "Authorization: Bearer bob")},
			begins: "HTTP/1.1 404 ",
		},
		{
			name: "wrong version", pieces: []string{strings.Replace(upgradeHead("/rte", aliceHeader), ": 13", ": 8", 1)},
			begins: "HTTP/1.1 426 ",
		},
		{
			name: "bad key", pieces: []string{strings.Replace(upgradeHead("/rte", aliceHeader), "dGhl", "!", 1)},
			begins: "HTTP/1.1 400 ",
		},
		{
			name: "two keys", pieces: []string{upgradeHead("/rte", aliceHeader, "Sec-WebSocket-Key: x")},
			begins: "HTTP/1.1 400 ",
		},
		{name: "two hosts", pieces: []string{upgradeHead("/rte", aliceHeader, "Host: x")}, begins: "HTTP/1.1 400 "},
		{name: "folded header", pieces: []string{upgradeHead("/rte", aliceHeader, "X: y\r\n z")}, begins: "HTTP/1.1 101 "},
		{
			name: "bare line feeds", pieces: []string{strings.ReplaceAll(upgradeHead("/rte", aliceHeader), "\r\n", "\n")},
			begins: "HTTP/1.1 101 ",
		},
		{
			name: "HTTP/1.0", pieces: []string{strings.Replace(upgradeHead("/rte", aliceHeader), "/1.1", "/1.0", 1)},
			begins: "HTTP/1.0 400 ",
		},
		{
			name: "body", pieces: []string{upgradeHead("/rte", aliceHeader, "Content-Length: 1") + "x"},
			begins: "HTTP/1.1 400 ",
		},
		{name: "expectation", pieces: []string{upgradeHead("/rte", aliceHeader, "Expect: x")}, begins: "HTTP/1.1 417 "},
		{
			name: "draining", pieces: []string{upgradeHead("/rte", aliceHeader)}, prepare: (*server).drain,
			begins: "HTTP/1.1 503 ",
		},
		{
			name: "bad token, draining", pieces: []string{upgradeHead("/rte", "Authorization: Bearer mallory")},
			prepare: (*server).drain, begins: "HTTP/1.1 401 ",
		},
		{
			// who came before
			name: "full", pieces: []string{upgradeHead("/rte", aliceHeader)}, begins: "HTTP/1.1 503 ", taken: 1,
			prepare: func(s *server) { s.open("json") },
		},
		{
			name:   "POST",
			pieces: []string{"POST /rte HTTP/1.1\r\nHost: rte\r\n" + aliceHeader + "\r\nContent-Length: 0\r\n\r\n"},
			begins: "HTTP/1.1 400 ",
		},
		{
			name: "negotiate", begins: "HTTP/1.1 200 ",
			pieces: []string{
				"POST /rte/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: rte\r\n" + aliceHeader + "\r\nContent-Length: 0\r\n\r\n",
			},
		},
		{name: "other path", pieces: []string{upgradeHead("/other", aliceHeader)}, begins: "HTTP/1.1 404 "},
		{name: "no HTTP", pieces: []string{"hello\r\n\r\n"}, begins: "HTTP/1.1 400 "},
		{name: "no request", pieces: nil},
		{
			name: "header too large", pieces: []string{upgradeHead("/rte", aliceHeader, "X: "+strings.Repeat("x", 8000))},
			begins: "HTTP/1.1 431 ",
		},
		{name: "slow client", pieces: []string{upgradeHead("/rte", aliceHeader)[:50]}, keepOpen: true},
		{name: "silent client", keepOpen: true},
		{
			name: "two requests", begins: "HTTP/1.1 404 ",
			pieces: []string{
				upgradeHead("/rte?id=unknown", aliceHeader) + upgradeHead("/rte?id=unknown", "Authorization: Bearer mallory"),
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := func(serve func(*transport.Handler, *http.Server, net.Listener) error) (string, *server) {
				s := startServer(t, func(o *setup) {
					o.serve = serve
					o.web = func(server *http.Server) {
						server.MaxHeaderBytes = 1 << 10 // and 4 KB, in net/http
						server.ReadHeaderTimeout = 2 * time.Second
						if test.keepOpen {
							server.ReadHeaderTimeout = 100 * time.Millisecond
						}
					}
					if test.name == "full" {
						o.Limits.Connections = 1
					}
				})
				pieces := append([]string(nil), test.pieces...)
				if len(pieces) > 0 && strings.Contains(pieces[0], "%id") {
					pieces[0] = strings.Replace(pieces[0], "%id", s.negotiate("alice").ConnectionToken, 1)
				}
				if test.prepare != nil {
					test.prepare(s)
				}
				firstIsRead := func() {
					if serve == nil { // without the entrance there is no such metric
						s.eventually("the first piece is read by itself", func() bool {
							return s.count("rte_transport_arrivals_total", "way", "passed") == 1
						})
					}
				}
				return s.exchange(pieces, firstIsRead, test.keepOpen), s
			}
			want, _ := answer(withoutEntrance)
			got, s := answer(nil)
			if got != want || !strings.HasPrefix(got, test.begins) || !strings.HasSuffix(got, test.ends) ||
				(test.begins == "") != (got == "") {
				t.Errorf("%q\nwithout entrance: %q\nwant %q ... %q", got, want, test.begins, test.ends)
			}
			if taken := s.count("rte_transport_arrivals_total", "way", "upgraded"); taken != test.taken {
				t.Errorf("the entrance took %v requests, want %v", taken, test.taken)
			}
			if waiting := s.count("rte_transport_connections_waiting"); waiting != 0 {
				t.Errorf("%v connections wait", waiting)
			}
		})
	}
}

func (s *server) drain() { s.Drain() }

// countingVerifier counts its calls, and refuses a token that it has verified once.
type countingVerifier struct{ calls atomic.Int64 }

func (v *countingVerifier) Verify(text string) (*authz.Claims, error) {
	if v.calls.Add(1) > 1 {
		return nil, token.ErrRevoked
	}
	return bearers.Verify(text)
}

// A token that the entrance verified is not verified again. The result counts for one request only.
func TestEntrance_VerifiesOnce(t *testing.T) {
	v := &countingVerifier{}
	var refused atomic.Int64
	s := startServer(t, func(o *setup) {
		o.Verifier = v
		o.Refused = func(string, string, string) { refused.Add(1) }
	})
	w := s.connect()
	for i, want := range []int{http.StatusNotFound, http.StatusUnauthorized} {
		response, _ := w.upgrade("/rte?id=unknown", "alice")
		if response.StatusCode != want || v.calls.Load() != int64(i+1) || refused.Load() != int64(i) {
			t.Errorf("%s, verified %d times, refused %d times", response.Status, v.calls.Load(), refused.Load())
		}
	}
	s = startServer(t, func(o *setup) { o.Refused = func(string, string, string) { refused.Add(1) } })
	if response, _ := s.connect().upgrade("/rte", "mallory"); response.StatusCode != http.StatusUnauthorized ||
		refused.Load() != 2 {
		t.Errorf("%s, refused %d times", response.Status, refused.Load())
	}
	if n := s.count("rte_transport_requests_refused_total", "request", "hub", "reason", "token"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// Connections that have not sent a byte end with the server.
func TestEntrance_Stops(t *testing.T) {
	for name, stop := range map[string]func(*http.Server) error{
		"Shutdown": func(server *http.Server) error { return server.Shutdown(context.Background()) },
		"Close":    (*http.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			var web *http.Server
			served := make(chan error, 1)
			s := startServer(t, func(o *setup) {
				o.web = func(server *http.Server) { web = server }
				o.serve = func(h *transport.Handler, server *http.Server, l net.Listener) error {
					err := h.Serve(server, l)
					if _, acceptErr := l.Accept(); !errors.Is(acceptErr, net.ErrClosed) {
						t.Errorf("the port: %v", acceptErr)
					}
					served <- err
					return err
				}
			})
			silent, open := s.connect(), s.open("json")
			s.eventually("a connection waits", func() bool { return s.count("rte_transport_connections_waiting") == 1 })
			if err := stop(web); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
			if reported, err := io.ReadAll(silent); err != nil || len(reported) != 0 {
				t.Errorf("%q, %v", reported, err)
			}
			open.expectNothing()
		})
	}
}

// flakyListener fails at first, as in a process without free descriptors.
type flakyListener struct {
	net.Listener
	failures atomic.Int64
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestEntrance_AcceptsAgainAfterAnError(t *testing.T) {
	logged := make(lines, 3)
	s := startServer(t, func(o *setup) {
		o.web = func(server *http.Server) { server.ErrorLog = log.New(logged, "", 0) }
		o.serve = func(h *transport.Handler, server *http.Server, l net.Listener) error {
			flaky := &flakyListener{Listener: l}
			flaky.failures.Store(3)
			return h.Serve(server, flaky)
		}
	})
	s.open("json")
	for range cap(logged) {
		if line := <-logged; !strings.Contains(line, syscall.EMFILE.Error()) {
			t.Errorf("logged %q", line)
		}
	}
}

// lines receives the log, a line at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A port that is closed from outside ends the server, as without an entrance.
func TestEntrance_PortThatIsLost(t *testing.T) {
	s := startServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := s.Serve(&http.Server{Handler: s}, listener); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

type panicVerifier struct{}

func (panicVerifier) Verify(token string) (*authz.Claims, error) {
	if token == "mallory" {
		panic("a mistake")
	}
	return bearers.Verify(token)
}

// A panic in one request ends only its connection.
func TestEntrance_continuesAfterPanics(t *testing.T) {
	s := startServer(t, func(o *setup) { o.Verifier = panicVerifier{} })
	for range 3 {
		w := s.connect()
		w.write([]byte(upgradeHead("/rte", "Authorization: Bearer mallory")))
		if reported, _ := io.ReadAll(w); len(reported) != 0 {
			t.Errorf("%q", reported)
		}
	}
	s.open("json")
	if n := s.logs.FilterMessage("[unexpected] upgrade panicked").Len(); n != 3 {
		t.Errorf("logged %d times", n)
	}
}
