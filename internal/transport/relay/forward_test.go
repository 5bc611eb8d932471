package relay_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/transport/relay"
)

func TestForward_theOwnerGetsTheRequest(t *testing.T) {
	entry, _ := startNodes(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !relay.Passed(r.Context()) || r.Header.Get("Rte-Client") != "" || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
			t.Errorf("passed %v, %q, from %s", relay.Passed(r.Context()), r.Header.Get("Rte-Client"), r.RemoteAddr)
		}
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Forwarded-For")+" "+string(body))
	})
	response, body := entry.fetch(http.MethodPost, "/rte?id=owner-1&x=%3b;y", "hello")
	if body != "POST /rte?id=owner-1&x=%3b;y 203.0.113.7 hello" || response.StatusCode != http.StatusAccepted ||
		response.Header.Get("X-Answer") != "yes" {
		t.Errorf("%s %q %v", response.Status, body, response.Header)
	}
	for _, id := range []string{"other-1", "owner-ended", ""} {
		if response, _ := entry.fetch(http.MethodGet, "/rte?id="+id, ""); response.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %s", id, response.Status)
		}
	}
}

// A stream arrives piece by piece. Its end on one side ends the other side.
func TestForward_streams(t *testing.T) {
	more, ended := make(chan struct{}), make(chan struct{})
	entry, _ := startNodes(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "second")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	response, err := entry.clients.Client().Get(entry.clients.URL + "/rte?id=owner-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q %v", got, err)
		}
		if want == "first" {
			close(more)
		}
	}
	response.Body.Close()
	<-ended
	entry.eventually("the place is free", func() bool { return entry.count("rte_relay_passed", "") == 0 })
}

// A draining node ends waiting requests, so that their clients send them to another node. It does not end a POST, whose
// client would give its connection up.
func TestMove_endsRequests(t *testing.T) {
	waits, moved := make(chan struct{}, 2), make(chan struct{})
	entry, _ := startNodes(t, func(_ http.ResponseWriter, r *http.Request) {
		waits <- struct{}{}
		if r.Method == http.MethodPost {
			<-moved
			return
		}
		<-r.Context().Done()
	})
	answers := map[string]chan *http.Response{
		http.MethodGet: make(chan *http.Response, 1), http.MethodPost: make(chan *http.Response, 1),
	}
	for method, answered := range answers {
		go func() {
			response, _ := entry.fetch(method, "/rte?id=owner-1", "")
			answered <- response
		}()
	}
	<-waits
	<-waits
	entry.Move(t.Context(), time.Millisecond)
	if got := (<-answers[http.MethodGet]).Header.Get("Relay-Error"); got != relay.ErrMoved.Error() {
		t.Errorf("%q", got)
	}
	close(moved)
	if got := <-answers[http.MethodPost]; got.StatusCode != http.StatusOK {
		t.Errorf("POST: %s", got.Status)
	}
}

// An owner that takes a request and never answers holds neither the client nor a place of the relay for ever.
func TestForward_anOwnerThatNeverAnswers(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	entry, _ := startNodes(t, func(http.ResponseWriter, *http.Request) { <-block },
		func(o *relay.Options) { o.Head = 50 * time.Millisecond })
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		response, _ := entry.fetch(method, "/rte?id=owner-1", "")
		if got := response.Header.Get("Relay-Error"); got != relay.ErrOwner.Error() {
			t.Errorf("%s: %s %q", method, response.Status, got)
		}
	}
	entry.eventually("the places are free", func() bool { return entry.count("rte_relay_passed", "") == 0 })
	if n := entry.count("rte_relay_requests_total", "owner"); n != 3 {
		t.Errorf("%v counted", n)
	}
}

// A client that announces a body and sends none loses its place, whatever the owner answers.
func TestForward_aBodyThatNeverComes(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	entry, _ := startNodes(t, refuse, func(o *relay.Options) { o.Send = 50 * time.Millisecond })
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		conn, err := net.Dial("tcp", entry.clients.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, method+" /rte?id=owner-1 HTTP/1.1\r\nHost: rte\r\nContent-Length: 10\r\n\r\nonly")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if response.Body.Close(); response.StatusCode < http.StatusBadRequest {
			t.Errorf("%s: %s", method, response.Status)
		}
	}
	entry.eventually("the places are free", func() bool { return entry.count("rte_relay_passed", "") == 0 })
}
