package transport_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// A stock client that sent a message that was too large came back at once and sent it again: 853 reconnects in 5 s.
func TestBackoff_holdsAClientThatFailsAgainAndAgain(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Hold = 300 * time.Millisecond })
	var failed time.Time
	for range 5 {
		id := s.negotiate("alice").ConnectionToken
		if after := time.Since(failed); after < 250*time.Millisecond {
			t.Errorf("the user may connect %s after a failure", after)
		}
		w := s.connect()
		if response, body := w.upgrade("/rte?id="+id, "alice"); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("upgrade: %s %q", response.Status, body)
		}
		w.text(handshake)
		w.expectText("{}")
		failed = time.Now()
		w.text("malformed" + separator)
		w.expectText(closedWithError)
		w.expectClose(1000)
	}
	if n := s.count("rte_transport_repeatable_failures_total"); n != 5 {
		t.Errorf("%v failures are counted", n)
	}
	if n := s.logs.FilterMessage("client repeats a message that ends its connection").Len(); n != 1 {
		t.Errorf("%d log entries", n)
	}
	before := s.count("rte_transport_requests_held_total")
	if before == 0 {
		t.Error("no held request is counted")
	}
	s.negotiate("bob")
	if s.count("rte_transport_requests_held_total") != before {
		t.Error("another user is held")
	}
}

// Requests that are held do not hold up the stop of a node.
func TestBackoff_endsWithDrain(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Hold = time.Hour })
	open := make([]*wire, 16) // after as many failures the hold is more than an hour
	for i := range open {
		open[i] = s.open("json")
	}
	for _, w := range open {
		w.text("malformed" + separator)
		w.expectText(closedWithError)
		w.expectClose(1000)
	}
	held, answered := s.connect(), make(chan int)
	go func() {
		response, _ := held.do(http.MethodPost, "/rte/negotiate", "alice")
		answered <- response.StatusCode
	}()
	s.eventually("the request is held", func() bool { return s.count("rte_transport_requests_held_total") > 0 })
	s.Drain()
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("answered with %d", status)
	}
}

// 40 connections of one user slowed down the calls of another organization.
func TestQuota_ofAUser(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.UserConnections = 2 })
	one := s.open("json")
	s.dial() // in its handshake
	for _, token := range []string{"alice", "alice again"} {
		response, body := s.connect().upgrade("/rte", token)
		if response.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(body, "This user has no room") {
			t.Errorf("upgrade: %s %q", response.Status, body)
		}
		if response, _ := s.do(
			http.MethodPost, "/rte/negotiate", token,
		); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("negotiate: %s", response.Status)
		}
	}
	if response, body := s.connect().upgrade("/rte", "bob"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("another user: %s %q", response.Status, body)
	}
	one.Close()
	s.eventually("there is room again", func() bool {
		response, _ := s.do(http.MethodPost, "/rte/negotiate", "alice")
		return response.StatusCode == http.StatusOK
	})
	if n := s.count("rte_transport_requests_refused_total", "request", "negotiate", "reason", "user_quota"); n < 2 {
		t.Errorf("%v refusals are counted", n)
	}
}

// Empty frames, 15 million a second, raised the median latency of all other connections from 2 to 104 ms.
func TestRates_ofFramesAndPings(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.FrameRate, s.Limits.PingRate = 1000, 1 })
	w := s.open("json")
	w.write(bytes.Repeat(frame(fin|opText, nil), 10_300)) // 10 s are free, 0.3 s are not
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Error(result, failure)
	}
	if n := s.count("rte_transport_throttled_total", "rate", "frames"); n == 0 {
		t.Error("frames were not slowed down")
	}

	w = s.open("json")
	pongs := 0
	for range 30 {
		w.write(frame(fin|opPing, nil))
		w.text(`{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + separator)
		for {
			opcode, _, err := w.next()
			if err != nil {
				t.Fatal(err)
			}
			if opcode == opText {
				break
			}
			pongs++
		}
	}
	if n := s.count("rte_transport_throttled_total", "rate", "pings"); pongs < 9 || pongs > 12 || n != float64(30-pongs) {
		t.Errorf("%d of 30 pings were answered, %v are counted", pongs, n)
	}
}

// The default limits contradicted each other: 2,000 items were allowed, and the message that carried 500 was too large.
func TestLimits_aSubscribeOfAllItemsFits(t *testing.T) {
	s := startServer(t, func(s *setup) { s.hub.Limits.ArgumentBytes = 1 << 20 }) // twice the message, as a node has it
	w := s.open("json")
	items := make([]subscription, 2000)
	for i := range items {
		entity := events.ID{1, byte(i), byte(i >> 8)}
		items[i] = subscription{strings.ToUpper(entity.String()), "UserCallAvailableForMonitoring"}
	}
	result, failure := w.call("1", "Subscribe", items)
	if failure != "" || strings.Count(result, `"subscribed":true`) != len(items) {
		t.Errorf("%d results, %s", strings.Count(result, `"subscribed":true`), failure)
	}
}

// Large messages that are never completed must not take more memory than a bound, however many connections there are.
func TestLimits_incompleteMessagesAreBounded(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.PendingBytes = 300 << 10 })
	one, other := s.open("json"), s.open("json")
	const head = `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[],"x":"`
	half := head + strings.Repeat("x", 150<<10)
	one.text(half)
	s.eventually("the half message is counted", func() bool { return s.count("rte_transport_pending_bytes") > 150<<10 })
	other.text(half)
	other.expectText(closedWithError)
	other.expectClose(1000)
	one.text(`"}` + separator)
	one.expectText(`{"type":3,"invocationId":"1","result":true}`)
	s.eventually("nothing is held any more", func() bool { return s.count("rte_transport_pending_bytes") == 0 })
	if n := s.count("rte_transport_protocol_errors_total", "reason", "no_memory"); n != 1 {
		t.Errorf("%v connections were closed for memory", n)
	}
}

// .NET clients keep the connection of negotiate open. Each took a second descriptor for a minute.
func TestServe_closesIdleHTTPConnections(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Idle = 50 * time.Millisecond })
	w := s.connect()
	w.do(http.MethodPost, "/rte/negotiate", "alice")
	if _, err := w.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection did not end: %v", err)
	}
	s.eventually("it is not counted any more", func() bool { return s.count("rte_transport_http_connections") == 0 })
}

// With 300 descriptors, 200 clients that connected at once took a minute: each idle connection of negotiate was in the
// way of an upgrade.
func TestServe_closesIdleConnectionsWhenDescriptorsRunShort(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Idle, s.Limits.Sockets = time.Hour, 8 })
	idle := make([]*wire, 5)
	for i := range idle {
		idle[i] = s.connect()
		idle[i].do(http.MethodPost, "/rte/negotiate", "alice")
	}
	_ = idle[0].SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := idle[0].in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an idle connection ended while there were descriptors: %v", err)
	}
	s.open("json")
	s.open("json")
	s.do(http.MethodPost, "/rte/negotiate", "alice")
	for i, w := range idle {
		_ = w.SetReadDeadline(time.Now().Add(patience))
		if _, err := w.in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("idle connection %d did not end: %v", i, err)
		}
	}
	kept := s.connect()
	kept.do(http.MethodPost, "/rte/negotiate", "alice")
	kept.do(http.MethodPost, "/rte/negotiate", "alice") // connections are kept again
}
