package transport_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// resumingClient keeps the account of a client with stateful reconnect: what it sent, what it got, and what it
// acknowledged. Its calls subscribe to topics, and end all subscriptions: one that ran twice would change what comes.
type resumingClient struct {
	*rand.Rand
	s      *server
	w      *wire
	target string

	sent  []string // calls
	got   []string // numbered messages
	acked int      // messages that the client acknowledged
	acks  int      // calls that the server acknowledged on this socket
	bytes int      // written to sockets, behind the upgrade

	due        int             // numbered messages that the server has sent or will send
	subscribed map[string]bool // names of events
}

func (c *resumingClient) write(p []byte) {
	c.bytes += len(p)
	c.w.write(p)
}

func (c *resumingClient) text(message string) { c.write(frame(fin|opText, []byte(message))) }

// next reads the next numbered message. Pings and Acks come at any time.
func (c *resumingClient) next() string {
	c.s.t.Helper()
	for {
		opcode, data, err := c.w.next()
		if err != nil {
			c.s.t.Fatalf("after %d calls and %d messages: %v", len(c.sent), len(c.got), err)
		}
		var message struct{ Type, SequenceID int }
		if opcode == opPong {
			return ""
		}
		if err := json.Unmarshal(data[:len(data)-1], &message); err != nil {
			c.s.t.Fatalf("%q: %v", data, err)
		}
		switch message.Type {
		case 6:
		case 8:
			if message.SequenceID < c.acks || message.SequenceID > len(c.sent) {
				c.s.t.Fatalf("call %d is acknowledged after %d, of %d", message.SequenceID, c.acks, len(c.sent))
			}
			c.acks = message.SequenceID
		default:
			return string(data)
		}
	}
}

// readAll reads what is due.
func (c *resumingClient) readAll() {
	c.s.t.Helper()
	for len(c.got) < c.due {
		c.got = append(c.got, c.next())
	}
}

// call subscribes to a topic, or ends all subscriptions.
func (c *resumingClient) call() {
	c.s.t.Helper()
	target, arguments, result := "UnsubscribeAll", "", "true"
	if c.IntN(4) > 0 {
		name := c.event()
		target, result = "Subscribe", `[{"subscribed":true`
		arguments = fmt.Sprintf(`[{"EntityId":%q,"EventName":%q}]`, bearers["alice"].User, name)
		c.subscribed[name] = true
	} else {
		clear(c.subscribed)
	}
	c.sent = append(c.sent, fmt.Sprintf(
		`{"type":1,"invocationId":"%d","target":%q,"arguments":[%s]}`, len(c.sent), target, arguments,
	)+separator)
	c.text(c.sent[len(c.sent)-1])
	c.due++
	c.readAll()
	want := fmt.Sprintf(`{"type":3,"invocationId":"%d","result":%s`, len(c.sent)-1, result)
	if last := c.got[len(c.got)-1]; !strings.HasPrefix(last, want) {
		c.s.t.Fatalf("%q is no answer to %s", last, c.sent[len(c.sent)-1])
	}
}

// event returns the name of an event of a call, which no newer one replaces.
func (c *resumingClient) event() string {
	return []string{"UserCallInArrived", "UserCallInUserConnected", "UserCallInDisconnected"}[c.IntN(3)]
}

// publish publishes an event. If the client is subscribed, its message comes now or on the next socket.
func (c *resumingClient) publish() {
	name := c.event()
	c.s.publish(name, "User", bearers["alice"].User, fmt.Sprintf(`,"Username":"%d"`, c.Int()))
	if c.subscribed[name] {
		c.due++
	}
}

// acknowledge acknowledges some of the messages that have come.
func (c *resumingClient) acknowledge() {
	if c.acked < len(c.got) {
		c.acked += 1 + c.IntN(len(c.got)-c.acked)
	}
	c.text(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, c.acked) + separator)
	c.expectAlive()
}

// expectAlive checks that nothing is due, and that the server has read everything.
func (c *resumingClient) expectAlive() {
	c.s.t.Helper()
	c.write(frame(fin|opPing, nil))
	if message := c.next(); message != "" {
		c.s.t.Fatalf("got %q", message)
	}
}

// lose ends the socket, or only forgets it.
func (c *resumingClient) lose() {
	if c.IntN(5) > 0 { // an open one lets the next one wait, see awaitFarewell
		c.w.Close()
		c.s.eventually("the socket is lost", func() bool { return c.s.count("rte_fanout_outboxes_detached") == 1 })
	}
	for range c.IntN(3) {
		c.publish()
	}
}

// resume continues on another socket. It sends some of its calls again, sometimes together with the upgrade.
func (c *resumingClient) resume() {
	c.s.t.Helper()
	first := 1 + c.IntN(len(c.sent)+1)
	if first > len(c.sent) && len(c.sent) > 0 && c.IntN(2) == 0 {
		first = len(c.sent)
	}
	var frames []byte
	for _, message := range append([]string{sequence(first)}, c.sent[first-1:]...) {
		frames = append(frames, frame(fin|opText, []byte(message))...)
	}
	together := c.IntN(2) == 0
	c.w = c.s.connect()
	request := []byte("GET " + c.target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n" +
		strings.Join(upgradeHeaders, "\r\n") + "\r\n\r\n")
	if together {
		request = append(request, frames...)
		c.bytes += len(frames)
	}
	c.w.write(request)
	if r, err := http.ReadResponse(c.w.in, nil); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		c.s.t.Fatal(r, err)
	}
	for !together && len(frames) > 0 { // in pieces
		n := 1 + c.IntN(len(frames))
		c.write(frames[:n])
		frames = frames[n:]
	}
	c.acks = 0
	if got := c.next(); got != sequence(c.acked+1) {
		c.s.t.Fatalf("%q after %d acknowledged messages", got, c.acked)
	}
	for i, want := range c.got[c.acked:] {
		if got := c.next(); got != want {
			c.s.t.Fatalf("message %d is %q, was %q", c.acked+i+1, got, want)
		}
	}
	c.readAll()
	c.expectAlive()
}

// TestResume_agreesWithModel plays random calls, events, acknowledgments and sockets, and compares what comes with the
// client's own account: nothing is missing, nothing comes twice, no call runs twice.
func TestResume_agreesWithModel(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := startServer(t, withResume, func(s *setup) { s.Timeouts.KeepAlive = 50 * time.Millisecond })
			c := &resumingClient{Rand: rand.New(rand.NewPCG(seed, 0)), s: s, subscribed: map[string]bool{}}
			c.w, c.target = s.resumable("json")
			received := s.remotes()[0].Received // with the handshake
			resumed := 0
			for range 60 {
				switch c.IntN(6) {
				case 0:
					c.call()
				case 1, 2:
					c.publish()
					c.readAll()
				case 3:
					c.acknowledge()
				default:
					c.lose()
					c.resume()
					resumed++
				}
			}
			c.publish()
			c.readAll()
			if n := s.count("rte_fanout_resumptions_total", "outcome", "resumed"); n != float64(resumed) {
				t.Errorf("%v of %d sockets resumed", n, resumed)
			}
			if n := s.remotes()[0].Received - received; n != int64(c.bytes) {
				t.Errorf("%d bytes are counted, want %d", n, c.bytes)
			}
			if n := s.count("rte_hub_subscriptions_active"); n != float64(len(c.subscribed)) {
				t.Errorf("%v subscriptions, want %v", n, c.subscribed)
			}
			for c.acks < len(c.sent) { // the calls are acknowledged
				c.text(ping)
				c.expectAlive()
			}
		})
	}
}
