package simtest_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// client is a model of a client of the hub. The driver calls it; it has no goroutine.
type client struct {
	w      *world
	slot   int
	person *person
	token  string
	node   *node
	conn   *end // nil: no socket
	target string
	input  []byte // bytes of frames
	text   []byte // of an incomplete hub message

	notices, snapshot, resumes bool
	stalled                    bool // it does not read
	open                       bool // the logical connection lives, perhaps without a socket
	greeted                    bool // the answer to the handshake has come

	// Stateful reconnect.
	received uint64   // numbered messages of the server
	number   uint64   // of the next numbered message of the server
	sent     [][]byte // own numbered messages that are not acknowledged
	acked    uint64   // own numbered messages that are acknowledged

	cutoff  int // the publications until the token was revoked
	calls   int
	pending map[string]call
	topics  map[topic]*period // the open ones
	periods []*period         // all of this connection
	last    [][3]int          // the latest publication that came of the call events of an entity, by tier
}

// call is an invocation without an answer.
type call struct {
	method string
	items  []topic
	denied []bool // the policy forbids the item
	policy int    // the number of changes of the policy before it
}

// request sends an HTTP request and returns the answer; nil: none came.
func (c *client) request(conn *end, method, target string, headers ...string) (*http.Response, string, []byte) {
	text := method + " " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer " + c.token + "\r\n"
	for _, header := range headers {
		text += header + "\r\n"
	}
	if method == http.MethodPost {
		text += "Content-Length: 0\r\n"
	}
	if _, err := conn.TryWrite([]byte(text + "\r\n")); err != nil {
		return nil, "", nil
	}
	c.w.rest()
	in := bufio.NewReader(bytes.NewReader(conn.take()))
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return nil, "", nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		rest, _ := io.ReadAll(in)
		return response, "", rest
	}
	body, _ := io.ReadAll(response.Body)
	return response, string(body), nil
}

// socketBytes is what the network takes of a client that does not read.
const socketBytes = 2 << 10

// dial opens a connection to the client's node.
func (c *client) dial() *end {
	ours, theirs := newConn()
	ours.bound = socketBytes
	c.node.port.conns <- theirs
	return ours
}

// connect negotiates and opens a connection.
func (c *client) connect() bool {
	conn := c.dial()
	query := "?negotiateVersion=1"
	if c.resumes {
		query += "&useStatefulReconnect=true"
	}
	response, body, _ := c.request(conn, http.MethodPost, "/rte/negotiate"+query)
	_ = conn.Close()
	if response == nil || response.StatusCode != http.StatusOK {
		return false
	}
	var answer struct {
		ConnectionToken      string `json:"connectionToken"`
		UseStatefulReconnect bool   `json:"useStatefulReconnect"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		c.w.fail("negotiate: %s", body)
		return false
	}
	var features []string
	if c.notices {
		features = append(features, "notices")
	}
	if c.snapshot {
		features = append(features, "snapshot")
	}
	c.target = "/rte?id=" + answer.ConnectionToken + "&features=" + strings.Join(features, ",")
	if !c.upgrade() {
		return false
	}
	version := 1
	if c.resumes {
		version = 2
	}
	c.message(fmt.Sprintf(`{"protocol":"json","version":%d}`, version))
	c.w.rest()
	return c.greeted
}

// upgrade opens a WebSocket and makes it the client's socket.
func (c *client) upgrade() bool {
	conn := c.dial()
	response, _, rest := c.request(conn, http.MethodGet, c.target,
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	if response == nil || response.StatusCode != http.StatusSwitchingProtocols {
		conn.cut()
		return false
	}
	if c.conn != nil {
		c.conn.cut()
	}
	c.conn, c.input, c.text = conn, rest, nil
	return true
}

// message sends a hub message.
func (c *client) message(text string) {
	payload := []byte(text + "\x1e")
	frame := []byte{0x81}
	if n := len(payload); n <= 125 {
		frame = append(frame, 0x80|byte(n))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...) // the mask is zero
	if c.conn != nil {
		_, _ = c.conn.TryWrite(frame)
	}
}

// numbered sends a hub message that counts for stateful reconnect.
func (c *client) numbered(text string) {
	if c.resumes {
		c.sent = append(c.sent, []byte(text))
	}
	c.message(text)
}

// invoke calls a method with items.
func (c *client) invoke(method string, items ...topic) {
	c.calls++
	id := fmt.Sprint(c.calls)
	sent := call{method: method, items: items, policy: c.w.policy}
	for _, t := range items {
		sent.denied = append(sent.denied, !c.w.allowed(c.person, t.entity))
		if p := c.topics[t]; p != nil && method == "Unsubscribe" {
			p.to = min(p.to, c.w.published())
		}
	}
	if method == "UnsubscribeAll" {
		for _, p := range c.topics {
			p.to = min(p.to, c.w.published())
		}
	}
	c.pending[id] = sent
	arguments := []any{}
	if method != "UnsubscribeAll" {
		list := []map[string]string{}
		for _, t := range items {
			list = append(list, map[string]string{"EntityId": people[t.entity].id.String(), "EventName": t.kind})
		}
		arguments = append(arguments, list)
	}
	encoded, _ := json.Marshal(arguments)
	c.numbered(fmt.Sprintf(`{"type":1,"invocationId":%q,"target":%q,"arguments":%s}`, id, method, encoded))
}

// lose cuts the socket.
func (c *client) lose() {
	if c.conn == nil {
		return
	}
	c.conn.cut()
	c.lost()
}

// lost records that there is no socket.
func (c *client) lost() {
	c.conn, c.stalled = nil, false
	if !c.resumes || !c.greeted {
		c.end()
	}
}

// end records the end of the logical connection.
func (c *client) end() {
	if !c.open {
		return
	}
	c.open = false
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
	c.w.log("%s ends", c)
}

// resume opens another socket for the same connection.
func (c *client) resume() {
	if !c.open || !c.resumes {
		return
	}
	if !c.upgrade() {
		c.lose()
		c.end()
		return
	}
	c.stalled = false
	c.w.log("%s resumes", c)
	c.message(fmt.Sprintf(`{"type":9,"sequenceId":%d}`, c.acked+1))
	for _, text := range c.sent {
		c.message(string(text))
	}
}

// acknowledge acknowledges what it has received.
func (c *client) acknowledge() {
	if c.resumes && c.conn != nil {
		c.message(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, c.received))
	}
}

// read handles what has arrived, and reports whether anything had.
func (c *client) read() bool {
	if c.conn == nil || c.stalled {
		return false
	}
	p := c.conn.take()
	gone := c.conn.ended()
	c.input = append(c.input, p...)
	for c.conn != nil {
		opcode, payload, rest, ok := parseFrame(c.input)
		if !ok {
			break
		}
		c.input = rest
		c.frame(opcode, payload)
	}
	if gone && c.conn != nil {
		c.lost()
		return true
	}
	return len(p) > 0
}

func parseFrame(p []byte) (opcode byte, payload, rest []byte, ok bool) {
	if len(p) < 2 {
		return 0, nil, p, false
	}
	size, head := int(p[1]), 2
	switch size {
	case 126:
		if len(p) < 4 {
			return 0, nil, p, false
		}
		size, head = int(binary.BigEndian.Uint16(p[2:])), 4
	case 127:
		if len(p) < 10 {
			return 0, nil, p, false
		}
		size, head = int(binary.BigEndian.Uint64(p[2:])), 10
	}
	if len(p) < head+size {
		return 0, nil, p, false
	}
	return p[0] & 0xf, p[head : head+size], p[head+size:], true
}

func (c *client) frame(opcode byte, payload []byte) {
	switch opcode {
	case 1:
		c.text = append(c.text, payload...)
	case 8:
		c.conn.cut()
		c.conn = nil
		c.end()
		return
	default:
		return
	}
	for {
		message, rest, ok := bytes.Cut(c.text, []byte("\x1e"))
		if !ok {
			return
		}
		c.text = rest
		c.take(message)
	}
}

// hubMessage is any message of the server.
type hubMessage struct {
	Type           int             `json:"type"`
	Target         string          `json:"target"`
	Arguments      json.RawMessage `json:"arguments"`
	InvocationID   string          `json:"invocationId"`
	Result         json.RawMessage `json:"result"`
	Error          string          `json:"error"`
	SequenceID     uint64          `json:"sequenceId"`
	AllowReconnect bool            `json:"allowReconnect"`
}

// take handles a hub message.
func (c *client) take(text []byte) {
	var m hubMessage
	if err := json.Unmarshal(text, &m); err != nil {
		c.w.fail("%s got no JSON: %.200q", c, text)
		return
	}
	switch m.Type {
	case 0:
		c.greeted = true
		return
	case 6:
		return
	case 7:
		c.w.log("%s closed: %s", c, m.Error)
		c.end()
		return
	case 8:
		for c.acked < m.SequenceID && len(c.sent) > 0 {
			c.acked, c.sent = c.acked+1, c.sent[1:]
		}
		return
	case 9:
		if m.SequenceID > c.received+1 {
			c.w.fail("%s misses messages %d to %d after it resumed", c, c.received+1, m.SequenceID-1)
		}
		c.number = m.SequenceID - 1
		return
	}
	if c.resumes {
		if c.number++; c.number <= c.received {
			return // sent again
		}
		c.received = c.number
	}
	switch m.Type {
	case 1:
		c.invoked(&m)
	case 3:
		c.answered(&m)
	default:
		c.w.fail("%s got a message of type %d", c, m.Type)
	}
}

// described is a subscription as the server describes it.
type described struct {
	ID       string `json:"id"`
	EntityID string `json:"entityId"`
	Type     string `json:"eventType"`
}

func (c *client) invoked(m *hubMessage) {
	switch m.Target {
	case "MessageReceived":
		var arguments []struct {
			Subscription described `json:"subscription"`
			Data         struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(m.Arguments, &arguments); err != nil || len(arguments) != 1 {
			c.w.fail("%s got %.300q", c, m.Arguments)
			return
		}
		c.event(&arguments[0].Subscription, arguments[0].Data.ID)
	case "Resync":
		var arguments []struct {
			Reason        string      `json:"reason"`
			From          *time.Time  `json:"from"`
			To            *time.Time  `json:"to"`
			Subscriptions []described `json:"subscriptions"`
		}
		if err := json.Unmarshal(m.Arguments, &arguments); err != nil || len(arguments) != 1 {
			c.w.fail("%s got %.300q", c, m.Arguments)
			return
		}
		a := &arguments[0]
		c.w.log("%s resync %s of %d, %s", c, a.Reason, len(a.Subscriptions), c.w.span(a.From, a.To))
		for i := range a.Subscriptions {
			if p := c.find(&a.Subscriptions[i]); p != nil {
				p.informed = append(p.informed, interval{a.From, a.To, time.Now()})
			}
		}
	case "SubscriptionsEnded":
		var arguments []struct {
			Subscriptions []described `json:"subscriptions"`
		}
		if err := json.Unmarshal(m.Arguments, &arguments); err != nil || len(arguments) != 1 {
			c.w.fail("%s got %.300q", c, m.Arguments)
			return
		}
		c.w.log("%s loses %d subscriptions", c, len(arguments[0].Subscriptions))
		for i := range arguments[0].Subscriptions {
			if p := c.find(&arguments[0].Subscriptions[i]); p != nil {
				c.close(p)
			}
		}
	default:
		c.w.fail("%s got %s", c, m.Target)
	}
}

func (c *client) answered(m *hubMessage) {
	sent, ok := c.pending[m.InvocationID]
	if !ok {
		c.w.fail("%s got an answer to call %s, which it has not made", c, m.InvocationID)
		return
	}
	delete(c.pending, m.InvocationID)
	if m.Error != "" {
		c.w.log("%s %s failed: %s", c, sent.method, m.Error)
		return
	}
	if sent.method == "UnsubscribeAll" {
		for _, t := range sortedTopics(c.topics) {
			c.close(c.topics[t])
		}
		c.w.log("%s %s: %s", c, sent.method, m.Result)
		return
	}
	var results []struct {
		Subscribed bool    `json:"subscribed"`
		Message    *string `json:"message"`
	}
	if err := json.Unmarshal(m.Result, &results); err != nil || len(results) != len(sent.items) {
		c.w.fail("%s %s: %.300q", c, sent.method, m.Result)
		return
	}
	for i, r := range results {
		t := sent.items[i]
		c.w.log("%s %s %s: %t", c, sent.method, t, r.Subscribed)
		switch p := c.topics[t]; {
		case sent.method == "Subscribe" && r.Subscribed:
			if sent.denied[i] && sent.policy == c.w.policy {
				c.w.fail("%s may not subscribe to %s, but did", c, t)
			}
			if p == nil {
				p = &period{topic: t, from: c.w.published(), to: never, cutoff: c.cutoff, seen: map[*event]bool{}}
				if !c.w.allowed(c.person, t.entity) {
					p.cutoff = min(p.cutoff, c.w.cutoffs[[2]events.ID{c.person.id, people[t.entity].id}])
				}
				c.topics[t], c.periods = p, append(c.periods, p)
			}
		case sent.method == "Unsubscribe" && r.Subscribed && p != nil:
			c.close(p)
		}
	}
}

func (c *client) String() string { return fmt.Sprintf("%s#%d", c.person.name, c.slot) }
