package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// While no request waits, newer states replace older ones as behind a full socket.
func TestLongPolling_conflates(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.fanout.State = events.Builtin().StateKey })
	target := s.longPolling("json")
	s.fetch(http.MethodPost, target, "alice", subscribeAlice)
	s.fetch(http.MethodGet, target, "alice", "")
	const published = 500
	text := strings.Repeat("x", 1000)
	for range published {
		s.publish("UserStatus", "User", bearers["alice"].User, `,"StatusText":"`+text+`"`)
	}
	s.eventually("states are conflated", func() bool {
		return s.count("rte_fanout_dropped_total", "reason", "conflated") > 0
	})
	s.publish("UserStatus", "User", bearers["alice"].User, `,"StatusText":"the last one"`)
	received := 0
	for last := ""; !strings.Contains(last, "the last one"); {
		last = s.fetch(http.MethodGet, target, "alice", "").body
		received += strings.Count(last, `"target":"MessageReceived"`)
	}
	if received >= published {
		t.Errorf("%d of %d states arrived, want fewer", received, published)
	}
}

// A client that polls too slowly ends as slow, and learns why.
func TestLongPolling_slow(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.fanout.Outbox.Bytes = 64 << 10 })
	target := s.longPolling("json")
	user := bearers["alice"].User
	s.fetch(http.MethodPost, target, "alice", strings.Replace(subscribeAlice, "UserStatus", "UserCallInArrived", 1))
	s.fetch(http.MethodGet, target, "alice", "")
	s.eventually("too much waits for the client", func() bool {
		for range 20 {
			s.publish("UserCallInArrived", "User", user, `,"Username":"`+strings.Repeat("x", 16<<10)+`"`)
		}
		return s.count("rte_fanout_dropped_total", "reason", "slow") > 0
	})
	all := strings.Builder{}
	for {
		a := s.fetch(http.MethodGet, target, "alice", "")
		if a.StatusCode == http.StatusNoContent {
			break
		}
		if a.expectStatus(t, 200); !strings.HasSuffix(a.body, separator) {
			t.Fatalf("a part of a message: %.100q", a.body)
		}
		all.WriteString(a.body)
	}
	if !strings.HasSuffix(all.String(), closedWithError+separator) {
		t.Errorf("the last message: %q", all.String()[max(0, all.Len()-200):])
	}
	if n := s.count("rte_hub_sessions_closed_total", "reason", "slow"); n != 1 {
		t.Errorf("%v sessions are counted as slow", n)
	}
}

func (a answered) expectStatus(t *testing.T, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %q, want %d", a.Status, a.body, status)
	}
}

// A client that never fetches the messages of its full link ends, and its goroutine ends, too.
func TestLongPolling_fullAndAbandoned(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) {
		s.fanout.Outbox.Bytes, s.Timeouts.Disconnect = 64<<10, 200*time.Millisecond
	})
	target := s.longPolling("json")
	s.fetch(http.MethodPost, target, "alice", strings.Replace(subscribeAlice, "UserStatus", "UserCallInArrived", 1))
	for range 20 {
		s.publish("UserCallInArrived", "User", bearers["alice"].User, `,"Username":"`+strings.Repeat("x", 16<<10)+`"`)
	}
	s.eventually("the connection is gone", func() bool { return s.Connections() == 0 })
}

// The poll of a client whose network is gone ends in time, and so does its connection.
func TestLongPolling_halfOpen(t *testing.T) {
	ends := make(chan transport.End, 1)
	s := startServer(t, withFallbacks, func(s *setup) {
		s.Timeouts.Poll, s.Timeouts.Disconnect = 100*time.Millisecond, 100*time.Millisecond
		s.Ended = func(e transport.End) { ends <- e }
	})
	target := s.longPolling("json")
	w := s.connect() // stays open, without a reader
	w.write([]byte("GET " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n\r\n"))
	if end := <-ends; end.Reason != hub.CloseSilent || end.Detail != "no_poll" {
		t.Errorf("ended: %+v", end)
	}
	s.eventually("the connection is gone", func() bool { return s.Connections() == 0 })
}

// Clients of each transport get the reason of a close.
func TestFallback_closeMessages(t *testing.T) {
	for name, test := range map[string]struct {
		reason hub.CloseReason
		want   string
	}{
		"drain":    {hub.CloseDrain, `{"type":7,"allowReconnect":true}`},
		"revoked":  {hub.CloseRevoked, `{"type":7,"error":"Connection closed with an error."}`},
		"operator": {hub.CloseByOperator, `{"type":7,"allowReconnect":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, withFallbacks)
			e := s.streaming()
			target := s.longPolling("json")
			poll := s.poll(target)
			s.hub.CloseIf(test.reason, func(*hub.Session) bool { return true })
			if got := e.next(); got != test.want+separator {
				t.Errorf("stream: %q", got)
			}
			e.end()
			(<-poll).expect(t, 200, test.want+separator)
			s.fetch(http.MethodGet, target, "alice", "").expect(t, 204, "")
			s.eventually("both are gone", func() bool { return s.Connections() == 0 })
		})
	}
}

// A poll brings a token with a later end into force. A token with an earlier end changes nothing.
func TestLongPolling_tokens(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) {
		s.Verifier, s.Timeouts.Poll = rowBearers(), 10*time.Millisecond
	})
	target := s.longPolling("json")
	inForce := func() string {
		for session := range s.hub.Sessions().All() {
			return session.Claims().TokenID
		}
		return ""
	}
	for _, step := range []struct{ bearer, want string }{
		{"earlier", "first"}, {"sooner", "sooner"}, {"alice", "sooner"}, {"as agent", "agent"},
	} {
		s.fetch(http.MethodGet, target, step.bearer, "").expect(t, 200, "")
		if got := inForce(); got != step.want {
			t.Errorf("after a poll with %q the token %q is in force, want %q", step.bearer, got, step.want)
		}
	}
	s.fetch(http.MethodGet, target, "elsewhere", "").expect(t, 403, otherUser)
}

// A poll with a later token that has fewer rights ends the subscriptions that the earlier one allowed.
func TestLongPolling_tokenWithFewerRights(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) {
		s.Verifier, s.Timeouts.Poll, s.hub.Authorization.Rechecker = rowBearers(), 10*time.Millisecond, supervisors{}
	})
	target := s.longPolling("json")
	s.fetch(http.MethodPost, target, "alice", subscribeAlice).expect(t, 200, "")
	for _, step := range []struct {
		bearer string
		want   float64
	}{{"alice", 1}, {"later", 1}, {"as agent later", 0}} {
		if s.fetch(http.MethodGet, target, step.bearer, ""); step.want == 0 {
			s.eventually("the subscription has ended", func() bool { return s.count("rte_hub_subscriptions_active") == 0 })
		} else if n := s.count("rte_hub_subscriptions_active"); n != step.want {
			t.Errorf("%v subscriptions with the token of %s", n, step.bearer)
		}
	}
}

// An expired token ends the connection, as with WebSockets.
func TestLongPolling_expires(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) {
		s.Tokens.CloseAtExpiry = true
		s.Verifier = verifier{"alice": {
			User: bearers["alice"].User, Organization: organization, Role: authz.RoleAgent,
			ExpiresAt: time.Now().Add(500 * time.Millisecond),
		}}
	})
	target := s.longPolling("json")
	s.fetch(http.MethodGet, target, "alice", "").expect(t, 200, `{"type":7,"allowReconnect":true}`+separator)
}

func TestFallback_posts(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.Limits.FrameBytes, s.Limits.MessageBytes = 2000, 500 })
	target := s.longPolling("json")
	s.fetch(http.MethodPost, target, "alice", strings.Repeat(`{"type":6}`+separator, 150)).expect(t, 200, "")
	s.fetch(http.MethodPost, target, "alice", strings.Repeat("x", 2001)).expect(t, 413, "")
	if s.Connections() != 1 {
		t.Error("the connection ended with a refused POST")
	}
	s.fetch(http.MethodPost, target, "alice", strings.Repeat("x", 501)).expect(t, 200, "")
	s.fetch(http.MethodGet, target, "alice", "").
		expect(t, 200, closedWithError+separator)
	s.fetch(http.MethodPost, target, "alice", "").expect(t, 404, noConnection)

	// After missing bytes, the rest is worthless.
	target = s.longPolling("json")
	w := s.connect()
	w.write([]byte("POST " + target +
		" HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\nContent-Length: 100\r\n\r\n{"))
	w.Close()
	s.eventually("the connection is gone", func() bool {
		return s.fetch(http.MethodPost, target, "alice", "").StatusCode == http.StatusNotFound
	})

	// Chunked bodies hide their end from proxies.
	target = s.longPolling("json")
	w = s.connect()
	w.write([]byte("POST " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	if response, err := http.ReadResponse(w.in, nil); err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("%v %v", response, err)
	}
}

// While a call runs, only a few requests wait behind it.
func TestFallback_postsWaitForTheirTurn(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := s.longPolling("json")
	s.lanes.blocked.Lock()
	s.fetch(http.MethodPost, target, "alice", subscribeAlice).expect(t, 200, "")
	const posts = 40
	statuses := make(chan int, posts)
	for range posts {
		go func() {
			a, err := s.tryFetch(t.Context(), http.MethodPost, target, "alice", callUnsubscribeAll("2"))
			if err != nil {
				t.Error(err)
			}
			statuses <- a.StatusCode
		}()
	}
	s.eventually("posts are refused", func() bool {
		return s.count("rte_transport_requests_refused_total", "request", "hub", "reason", "posts") > 0
	})
	s.lanes.blocked.Unlock()
	counts := map[int]int{}
	for range posts {
		counts[<-statuses]++
	}
	if counts[200] < 8 || counts[503] == 0 || counts[200]+counts[503] != posts {
		t.Errorf("answers: %v", counts)
	}
}

// Quotas and drains count connections of each transport.
func TestFallback_quotas(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.Limits.UserConnections = 2 })
	s.streaming()
	s.longPolling("json")
	target := "/rte?id=" + s.negotiate("bob").ConnectionToken
	s.pollNow(target, "alice again").expect(t, 404, noConnection) // of another user
	response, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice")
	if response.StatusCode != 503 || !strings.Contains(body, "user") {
		t.Errorf("negotiate: %s %q", response.Status, body)
	}
	s.Pause()
	a := s.pollNow(target, "bob")
	if a.expect(t, 503, "This node is stopping."); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.Resume()
	s.pollNow(target, "bob").expect(t, 200, "")
}

// pollNow polls with a bearer.
func (s *server) pollNow(target, bearer string) answered {
	s.t.Helper()
	return s.fetch(http.MethodGet, target, bearer, "")
}

func TestTransports_withoutWebSockets(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Transports[transports.LongPolling] = true })
	for _, target := range []string{"/rte", "/rte?id=" + s.negotiate("alice").ConnectionToken} {
		response, body := s.connect().upgrade(target, "alice")
		if response.StatusCode != 404 || body != "WebSockets transport not supported by this end point type" {
			t.Errorf("upgrade of %s: %s %q", target, response.Status, body)
		}
	}
	s.longPolling("json")
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	s.fetch(http.MethodGet, target, "alice", "", acceptStream).
		expect(t, 404, "ServerSentEvents transport not supported by this end point type")
}

// A browser asks before a DELETE.
func TestFallback_preflight(t *testing.T) {
	for _, polling := range []bool{false, true} {
		s := startServer(t, func(s *setup) {
			s.Origins = []string{"https://desk.example.com"}
			s.Transports[transports.WebSockets], s.Transports[transports.LongPolling] = true, polling
		})
		a := s.fetch(http.MethodOptions, "/rte?id=x", "", "", "Origin: https://desk.example.com",
			"Access-Control-Request-Method: DELETE")
		a.expectStatus(t, 204)
		if got := strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "DELETE"); got != polling {
			t.Errorf("long polling %v: %v", polling, a.Header)
		}
	}
}
