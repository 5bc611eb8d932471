package transport_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/transport"
)

// answerOf makes a request in the background. The answer is its status.
func (s *server) answerOf(method, target, token string, headers ...string) <-chan *http.Response {
	w, answered := s.connect(), make(chan *http.Response, 1)
	go func() {
		response, _ := w.do(method, target, token, headers...)
		answered <- response
	}()
	return answered
}

// waits waits until n requests wait to come in.
func (s *server) waits(n float64) {
	s.t.Helper()
	s.eventually("requests wait", func() bool { return s.count("rte_transport_admission_waiting") == n })
}

// A full node refused clients at once, and stock clients gave up for good.
func TestAdmission_waitsForAPlace(t *testing.T) {
	s := startServer(t, func(o *setup) {
		o.Limits.Connections = 2
		o.Admission = transport.AdmissionOptions{FullWait: time.Hour}
		o.web = func(server *http.Server) {
			// These are over before there is a place.
			server.ReadHeaderTimeout, server.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
			server.WriteTimeout = 100 * time.Millisecond
		}
	})
	id := s.negotiate("alice").ConnectionToken
	one, two := s.open("json"), s.open("json")
	negotiated := s.answerOf(http.MethodPost, "/rte/negotiate", "bob")
	s.waits(1)
	upgraded := s.answerOf(http.MethodGet, "/rte?id="+id, "alice", upgradeHeaders...)
	s.waits(2)
	for range 3 { // each half request ends by the read timeout: then all timeouts of the server are over
		half := s.connect()
		half.write([]byte("POST /rte"))
		if _, err := io.Copy(io.Discard, half); isTimeout(err) {
			t.Fatal("a half request does not end")
		}
	}
	select {
	case response := <-negotiated:
		t.Fatalf("answered %s", response.Status)
	case response := <-upgraded:
		t.Fatalf("answered %s", response.Status)
	default:
	}
	if response, _ := s.do(http.MethodGet, "/rte?id=unknown", "alice", upgradeHeaders...); response.StatusCode != 404 {
		t.Errorf("an unknown id waits: %s", response.Status)
	}
	one.Close()
	if response := <-upgraded; response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("upgrade: %s", response.Status)
	}
	two.Close()
	if response := <-negotiated; response.StatusCode != http.StatusOK {
		t.Errorf("negotiate: %s", response.Status)
	}
}

func TestAdmission_refusesAfterTheWait(t *testing.T) {
	s := startServer(t, func(o *setup) {
		o.Limits.Connections = 1
		o.Admission = transport.AdmissionOptions{FullWait: 50 * time.Millisecond}
	})
	s.open("json")
	for request, answered := range map[string]<-chan *http.Response{
		"negotiate": s.answerOf(http.MethodPost, "/rte/negotiate", "bob"),
		"hub":       s.answerOf(http.MethodGet, "/rte", "bob", upgradeHeaders...),
	} {
		if response := <-answered; response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, Retry-After %q", request, response.Status, response.Header.Get("Retry-After"))
		}
		if n := s.count("rte_transport_requests_refused_total", "request", request, "reason", "full"); n != 1 {
			t.Errorf("%s: %v refusals are counted", request, n)
		}
	}
	s.waits(0)
}

// Requests that wait end with the node, and with their clients.
func TestAdmission_endsWithDrain(t *testing.T) {
	s := startServer(t, func(o *setup) {
		o.Admission = transport.AdmissionOptions{Rate: 1, Wait: time.Hour}
	})
	s.negotiate("alice")
	gone := s.connect()
	gone.write([]byte("POST /rte/negotiate HTTP/1.1\r\nHost: rte\r\n" +
		"Authorization: Bearer bob\r\nContent-Length: 0\r\n\r\n"))
	waiting := s.answerOf(http.MethodPost, "/rte/negotiate", "carol")
	upgrade := s.answerOf(http.MethodGet, "/rte", "alice", upgradeHeaders...)
	s.eventually("both wait, or have been let in", func() bool {
		return s.count("rte_transport_admission_waiting")+s.count("rte_transport_admission_wait_seconds") >= 2
	})
	gone.Close()
	s.Drain()
	for _, answered := range []<-chan *http.Response{waiting, upgrade} {
		// One of them may have been let in by the rate.
		if response := <-answered; response.StatusCode != 503 && response.StatusCode != 200 && response.StatusCode != 101 {
			t.Errorf("answered %s", response.Status)
		}
	}
	s.waits(0)
}

// verifierThatCounts counts the tokens that it verifies.
type verifierThatCounts struct {
	transport.Verifier

	calls atomic.Int64
}

func (v *verifierThatCounts) Verify(text string) (*authz.Claims, error) {
	v.calls.Add(1)
	return v.Verifier.Verify(text)
}

// A node without memory refuses before it does any work for a client, and leaves those alone that it has.
func TestAdmission_withoutMemory(t *testing.T) {
	var short atomic.Bool
	v := &verifierThatCounts{Verifier: bearers}
	s := startServer(t, func(o *setup) {
		o.Verifier = v
		o.Admission = transport.AdmissionOptions{Short: short.Load}
	})
	w, id := s.open("json"), s.negotiate("alice").ConnectionToken
	short.Store(true)
	verified := v.calls.Load()
	for target, method := range map[string]string{
		"/rte/negotiate": http.MethodPost, "/rte": http.MethodGet, "/rte?id=" + id: http.MethodGet,
	} {
		var headers []string
		if method == http.MethodGet {
			headers = upgradeHeaders
		}
		response, body := s.do(method, target, "alice", headers...)
		if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" ||
			body != "This node has no memory for another connection." {
			t.Errorf("%s: %s %q", target, response.Status, body)
		}
	}
	if v.calls.Load() != verified {
		t.Error("tokens were verified")
	}
	if n := s.count("rte_transport_requests_refused_total", "request", "hub", "reason", "memory"); n != 2 {
		t.Errorf("%v refusals are counted", n)
	}
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Errorf("an open connection: %q %q", result, failure)
	}
	short.Store(false)
	s.negotiate("alice")
}

// A full queue refuses before a token is verified. Upgrades that were announced are not concerned.
func TestAdmission_refusesAllWhileTheQueueIsFull(t *testing.T) {
	const places = 32
	v := &verifierThatCounts{Verifier: crowd{}}
	s := startServer(t, func(o *setup) {
		o.Verifier = v
		o.Limits.Connections, o.Limits.Sockets = 100, 2*places
		o.Admission = transport.AdmissionOptions{Rate: 1, Wait: time.Hour}
	})
	id := s.negotiate("0 0").ConnectionToken
	for client := range places + 2 { // one or two are let in by the rate
		w := s.connect()
		w.write([]byte(fmt.Sprintf("POST /rte/negotiate HTTP/1.1\r\nHost: rte\r\n"+
			"Authorization: Bearer %d %d\r\nContent-Length: 0\r\n\r\n", client%2, client)))
	}
	s.eventually("the queue is full", func() bool {
		verified := v.calls.Load()
		response := s.answerOf(http.MethodPost, "/rte/negotiate", "nonsense")
		return (<-response).StatusCode == http.StatusServiceUnavailable && v.calls.Load() == verified
	})
	if n := s.count("rte_transport_requests_refused_total", "request", "negotiate", "reason", "admission_queue"); n < 1 {
		t.Errorf("%v are refused", n)
	}
	if response, body := s.connect().upgrade("/rte?id="+id, "0 0"); response.StatusCode != 101 {
		t.Errorf("%s %q", response.Status, body)
	}
}
