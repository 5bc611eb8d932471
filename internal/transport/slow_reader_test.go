package transport_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// A client that read slowly had 120 KB of old states in its own kernel, in front of newer ones. At 50 KB/s, the states
// that it read were three seconds old.
func TestSlowReader_hasFewStatesInFrontOfTheNewest(t *testing.T) {
	const (
		size   = 4 << 10
		limit  = 32 << 10
		states = 300
	)
	s := startServer(t, func(s *setup) {
		s.Limits.UnreadBytes, s.Timeouts.Send = limit, patience
		s.fanout.State = func(ev *events.Event) (events.ID, bool) { return ev.Topic.Entity, true }
	})
	w := s.open("json")
	alice := bearers["alice"].User
	if _, failure := w.call("1", "Subscribe", []subscription{{alice.String(), "UserStatus"}}); failure != "" {
		t.Fatal(failure)
	}
	number := 0
	publish := func() {
		number++
		s.publish("UserStatus", "User", alice, fmt.Sprintf(`,"Number":%d,"Text":%q`, number, strings.Repeat("x", size)))
	}
	s.eventually("the socket is full", func() bool {
		publish()
		return s.count("rte_fanout_outboxes_full") == 1
	})
	full := time.Now()
	s.eventually("it was full for long", func() bool { return time.Since(full) > 300*time.Millisecond })

	// next reads a message. It answers pings only if it should.
	next := func(answers bool) (message string, pinged bool) {
		opcode, payload, err := w.next()
		if err != nil {
			t.Fatal(err)
		}
		if opcode == opPing && answers {
			w.write(frame(fin|opPong, payload))
		}
		return string(payload), opcode == opPing
	}
	ping, pinged := next(false)
	for !pinged {
		ping, pinged = next(false)
	}
	// Everything up to the ping is read. What comes now waits in the outbox, until the client has answered the ping.
	conflated := func() float64 { return s.count("rte_fanout_dropped_total", "reason", "conflated") }
	before := conflated()
	for range states {
		publish()
	}
	s.eventually("newer states replace older ones", func() bool { return conflated() > before+states/2 })
	w.write(frame(fin|opPong, []byte(ping)))
	last := fmt.Sprintf(`"number":%d,`, number)
	read := 0
	for message := ""; !strings.Contains(message, last); message, _ = next(true) {
		read += len(message)
	}
	if read > 4*limit { // one write of 64 KB may have been collected when the outbox was not full
		t.Errorf("%d KB of %d KB were in front of the newest state", read>>10, states*size>>10)
	}
	if n := s.count("rte_transport_slow_total"); n != 1 {
		t.Errorf("%v clients turned out slow", n)
	}
}
