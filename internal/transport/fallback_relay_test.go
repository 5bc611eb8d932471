package transport_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// Each request of a client may reach any node.
func TestRelay_longPolling(t *testing.T) {
	n := startNodes(t, 3, withFallbacks)
	next := 0
	node := func() *server {
		next++
		return n.all[next%len(n.all)]
	}
	target := "/rte?id=" + node().negotiate("alice").ConnectionToken
	node().fetch(http.MethodGet, target, "alice", "").expect(t, 200, "")
	node().fetch(http.MethodPost, target, "alice", jsonRequest).expect(t, 200, "")
	node().fetch(http.MethodGet, target, "alice", "").expect(t, 200, welcome)
	node().fetch(http.MethodPost, target, "alice", subscribeAlice).expect(t, 200, "")
	if got := node().fetch(http.MethodGet, target, "alice", "").body; !strings.HasPrefix(got, `{"type":3`) {
		t.Errorf("Subscribe: %q", got)
	}
	owner := n.owner(t)
	poll := make(chan answered, 1)
	go func() {
		poll <- node().fetch(http.MethodGet, target, "alice", "")
	}()
	owner.eventually("the poll waits", func() bool { return owner.count("rte_transport_polls_waiting") == 1 })
	owner.status()
	if got := (<-poll).body; !strings.Contains(got, `"target":"MessageReceived"`) {
		t.Errorf("event: %q", got)
	}
	for _, s := range n.all {
		s.fetch(http.MethodPost, target, "bob", "").expect(t, 403, otherUser)
		s.fetch(http.MethodGet, target, "alice", "", acceptStream).expect(t, 400, changed)
	}
	owner.redeemed()
	node().fetch(http.MethodDelete, target, "alice", "").expect(t, 202, "")
	for _, s := range n.all {
		s.fetch(http.MethodPost, target, "alice", "").expect(t, 404, noConnection)
		s.fetch(http.MethodGet, target, "alice", "").expect(t, 404, noConnection)
		s.fetch(http.MethodDelete, target, "alice", "").expect(t, 404, noConnection)
	}
}

// redeemed waits until the other nodes know that a token was used here.
func (s *server) redeemed() {
	s.t.Helper()
	s.eventually("the others know", func() bool {
		return s.count("rte_transport_redemptions_total", "result", "sent") > 0
	})
}

// owner returns the only node that has a connection.
func (n *nodes) owner(t *testing.T) (owner *server) {
	t.Helper()
	for _, s := range n.all {
		if s.Connections() == 1 && owner == nil {
			owner = s
		} else if s.Connections() != 0 {
			t.Fatal("the connection is on more than one node")
		}
	}
	return owner
}

func TestRelay_serverSentEvents(t *testing.T) {
	n := startNodes(t, 3, withFallbacks)
	e := n.all[0].events()
	owner := n.owner(t)
	n.all[1].fetch(http.MethodPost, e.target, "alice", jsonRequest).expect(t, 200, "")
	if got := e.next(); got != welcome {
		t.Fatalf("handshake: %q", got)
	}
	n.all[2].fetch(http.MethodPost, e.target, "alice", subscribeAlice).expect(t, 200, "")
	if got := e.next(); !strings.HasPrefix(got, `{"type":3`) {
		t.Errorf("Subscribe: %q", got)
	}
	owner.status()
	if got := e.next(); !strings.Contains(got, `"target":"MessageReceived"`) {
		t.Errorf("event: %q", got)
	}
	n.all[1].fetch(http.MethodGet, e.target, "alice", "", acceptStream).expect(t, 409, "")
	n.all[2].fetch(http.MethodPost, e.target, "alice", `{"type":7}`+separator).expect(t, 200, "")
	if got := e.next(); got != `{"type":7}`+separator {
		t.Errorf("Close message: %q", got)
	}
	e.end()
}

// A connection begins on the node that made its token, even if another node gets the first request. A node does not
// begin a connection of another node for a request that was passed on to it.
func TestRelay_beginsOnTheNodeOfTheToken(t *testing.T) {
	n := startNodes(t, 3, withFallbacks)
	target := "/rte?id=" + n.all[0].negotiate("alice").ConnectionToken
	conn := n.dial(t, 1)
	request, _ := http.NewRequest(http.MethodGet, "https://rte"+target, http.NoBody)
	request.Header = http.Header{"Authorization": {"Bearer alice"}, "Rte-Client": {"192.0.2.1:1"}}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Fatalf("%v %v", response, err)
	}
	response.Body.Close()
	n.all[2].fetch(http.MethodPost, target, "alice", "").expect(t, 400, "")
	n.all[2].fetch(http.MethodGet, target, "alice", "").expect(t, 200, "")
	if owner := n.owner(t); owner != n.all[0] {
		t.Error("another node has the connection")
	}
	n.servers[0].Close()
	lost := "/rte?id=" + n.all[0].negotiate("alice").ConnectionToken
	n.all[1].fetch(http.MethodGet, lost, "alice", "").expect(t, 404, noConnection)
}

// A ticket opens the stream on the node of its token, through any node.
func TestRelay_ticketOpensStream(t *testing.T) {
	n := startNodes(t, 2, withFallbacks, func(s *setup) { s.Tokens.Tickets = true })
	target := "/rte?id=" + n.all[0].negotiate("alice").ConnectionToken
	w := n.all[1].connect()
	w.write([]byte("GET " + target + " HTTP/1.1\r\nHost: rte\r\n" + acceptStream + "\r\n\r\n"))
	response, err := http.ReadResponse(w.in, &http.Request{Method: http.MethodGet})
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %v", response, err)
	}
	if owner := n.owner(t); owner != n.all[0] {
		t.Error("another node has the connection")
	}
	n.all[1].fetch(http.MethodPost, target, "", jsonRequest).expect(t, 401, "")
	n.all[1].fetch(http.MethodPost, target, "alice", jsonRequest).expect(t, 200, "")
	w.Close()
}

// Without a relay, another node does not know the connection.
func TestFallback_onAnotherNodeWithoutARelay(t *testing.T) {
	n := startNodes(t, 2, withFallbacks, func(s *setup) { s.Relay = nil })
	target := n.all[0].longPolling("json")
	n.all[0].redeemed()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		n.all[1].fetch(method, target, "alice", "").expect(t, 404, noConnection)
	}
	if left := n.all[0].Connections(); left != 1 {
		t.Errorf("%d connections are left", left)
	}
}
