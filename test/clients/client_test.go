package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// patience is the maximum time for steps that should happen at once. Many clients start at the same time.
const patience = 2 * rtetest.Patience

// maxMessages bounds the unread messages of a connection.
const maxMessages = 2000

// client is a client library in a process of its own. Its methods may be called from any goroutine.
type client struct {
	library
	protocols []string // its protocols; static after hello is closed
	hello     chan struct{}
	done      <-chan struct{} // closed at the end of the process
	lastID    atomic.Int64

	mu          sync.Mutex // guards the following fields
	stdin       io.Writer
	answers     map[int64]chan line
	connections map[int64]*connection
	noise       []string // output of the process other than protocol lines
}

// line is a line that an adapter prints.
type line struct {
	Protocols []string `json:"protocols"`

	ID     int64           `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`

	Connection int64           `json:"connection"`
	Event      string          `json:"event"`
	Message    json.RawMessage `json:"message"`
}

// startClient starts the process of a client. The end of the test stops it.
func startClient(t *testing.T, l library, s *stage) *client {
	t.Helper()
	c := &client{
		library: l, hello: make(chan struct{}), answers: map[int64]chan line{}, connections: map[int64]*connection{},
	}
	t.Cleanup(func() {
		if t.Failed() && len(c.noise) > 0 {
			t.Logf("%s printed:\n%s", l.name, strings.Join(c.noise, "\n"))
		}
	})
	cmd := l.command(t, s)
	cmd.Stderr = c
	c.stdin, c.done = rtetest.MustFollow(t, cmd, c.take)
	return c
}

// Write receives the standard error of the process.
func (c *client) Write(p []byte) (int, error) {
	c.note(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

func (c *client) note(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noise = append(c.noise, text)
}

// take takes a line that the process prints.
func (c *client) take(text []byte) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		c.note(string(text))
		return
	}
	switch {
	case l.Protocols != nil:
		c.protocols = l.Protocols
		close(c.hello)
	case l.Event != "":
		c.mu.Lock()
		conn := c.connections[l.Connection]
		c.mu.Unlock()
		conn.deliver(l)
	default:
		c.mu.Lock()
		c.answers[l.ID] <- l
		delete(c.answers, l.ID)
		c.mu.Unlock()
	}
}

// waitReady waits until the process accepts commands.
func (c *client) waitReady(t *testing.T) {
	t.Helper()
	select {
	case <-c.hello:
	case <-c.done:
		t.Fatal("the client's process has ended")
	case <-time.After(patience):
		t.Fatal("the client does not start")
	}
}

// speaks reports whether the client has a hub protocol.
func (c *client) speaks(protocol string) bool { return slices.Contains(c.protocols, protocol) }

// do sends a command to the process and waits for the answer.
func (c *client) do(command map[string]any) (json.RawMessage, error) {
	id := c.lastID.Add(1)
	command["id"] = id
	text, err := json.Marshal(command)
	if err != nil {
		return nil, err
	}
	answer := make(chan line, 1)
	c.mu.Lock()
	c.answers[id] = answer
	_, err = c.stdin.Write(append(text, '\n'))
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case l := <-answer:
		if l.Error != "" {
			return nil, errors.New(l.Error)
		}
		return l.Result, nil
	case <-c.done:
		return nil, errors.New("the client's process has ended")
	case <-time.After(patience):
		return nil, fmt.Errorf("no answer to %v", command["do"])
	}
}

// connection is a connection of a client.
type connection struct {
	client   *client
	number   int64
	protocol string
	messages chan json.RawMessage // the MessageReceived in the order of arrival
	events   chan line            // other events of the connection
}

// options are the options of a connection.
type options struct {
	url, token, protocol string
	skipNegotiation      bool
	transport            string // empty: WebSockets
	reconnect            bool
	stateful             bool // stateful reconnect; .NET from 8 on only
}

// retryDelays are the delays of a client with automatic reconnect. Together they are as long as a node's restart on a
// busy machine.
var retryDelays = append([]int{0}, slices.Repeat([]int{250}, 200)...)

// open connects.
func (c *client) open(o options) (*connection, error) {
	number := c.lastID.Add(1)
	conn := &connection{
		client: c, number: number, protocol: o.protocol,
		messages: make(chan json.RawMessage, maxMessages), events: make(chan line, 16),
	}
	c.mu.Lock()
	c.connections[number] = conn
	c.mu.Unlock()
	command := map[string]any{"do": "open", "connection": number, "url": o.url, "token": o.token, "protocol": o.protocol}
	if o.skipNegotiation {
		command["skipNegotiation"] = true
	}
	if o.transport != "" {
		command["transport"] = o.transport
	}
	if o.reconnect {
		command["retryDelays"] = retryDelays
	}
	if o.stateful {
		command["statefulReconnect"] = true
	}
	_, err := c.do(command)
	return conn, err
}

// mustOpen is open, and fails the test on an error.
func (c *client) mustOpen(t *testing.T, o options) *connection {
	t.Helper()
	conn, err := c.open(o)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return conn
}

// deliver queues an event of the connection.
func (c *connection) deliver(l line) {
	if l.Event == "message" {
		select {
		case c.messages <- l.Message:
		default:
			c.client.note("more messages came than anybody waits for")
		}
		return
	}
	select {
	case c.events <- l:
	default:
		c.client.note("more events came than anybody waits for: " + l.Event)
	}
}

// invoke calls a hub method. It returns the error of the library.
func (c *connection) invoke(target string, args ...any) (json.RawMessage, error) {
	if args == nil {
		args = []any{}
	}
	return c.client.do(map[string]any{"do": "invoke", "connection": c.number, "target": target, "args": args})
}

// mustInvoke calls a hub method, decodes its result, and fails the test on an error.
func (c *connection) mustInvoke(t *testing.T, result any, target string, args ...any) {
	t.Helper()
	answer, err := c.invoke(target, args...)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	if err := json.Unmarshal(answer, result); err != nil {
		t.Fatalf("%s answered %s: %v", target, answer, err)
	}
}

// close disconnects.
func (c *connection) close(t *testing.T) {
	t.Helper()
	if _, err := c.client.do(map[string]any{"do": "close", "connection": c.number}); err != nil {
		t.Fatalf("disconnect: %v", err)
	}
}

// next waits for the next MessageReceived.
func (c *connection) next(t *testing.T) message {
	t.Helper()
	select {
	case text := <-c.messages:
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("MessageReceived %s: %v", text, err)
		}
		return m
	case l := <-c.events:
		t.Fatalf("the connection reported %q (%s) instead of a message", l.Event, l.Error)
	case <-c.client.done:
		t.Fatal("the client's process has ended")
	case <-time.After(patience):
		t.Fatal("no message arrived")
	}
	panic("unreachable")
}

// expect waits for the next event of the connection, which must be event.
func (c *connection) expect(t *testing.T, event string) line {
	t.Helper()
	select {
	case l := <-c.events:
		if l.Event != event {
			t.Fatalf("the connection reported %q (%s), want %q", l.Event, l.Error, event)
		}
		return l
	case <-c.client.done:
		t.Fatal("the client's process has ended")
	case <-time.After(patience):
		t.Fatalf("the connection did not report %q", event)
	}
	panic("unreachable")
}
