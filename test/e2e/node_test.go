package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// nodeCommand returns the command that runs a script of node/. The end of the test kills it.
func nodeCommand(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("node is missing: make deps")
	}
	if _, err := os.Stat("node_modules/@microsoft/signalr"); err != nil {
		t.Fatal("the npm modules of test/e2e are missing: make deps")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"node/" + script}, args...)...)
	// Servers of these tests sign their own certificates.
	cmd.Env = append(os.Environ(), "NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1")
	cmd.Stderr = testWriter{t}
	return cmd
}

// clientOptions are the options of node/client.mjs.
type clientOptions struct {
	URL             string `json:"url"`
	Features        string `json:"features,omitempty"`
	Token           string `json:"token,omitempty"`
	SkipNegotiation bool   `json:"skipNegotiation,omitempty"`
	Reconnect       bool   `json:"reconnect,omitempty"`
}

// client is Microsoft's JavaScript client in its own Node process.
type client struct {
	t      *testing.T
	lastID atomic.Int64

	mu      sync.Mutex // guards the following fields
	stdin   io.Writer
	answers map[int64]chan line

	// messages has the MessageReceived in the order of arrival. The reader stops while it is full.
	messages chan json.RawMessage
	// events has the other events of the client: "close", "reconnecting", "reconnected" and notices.
	events chan line
	done   <-chan struct{} // closed at the end of the process
}

// line is a line that node/client.mjs prints.
type line struct {
	ID     int64             `json:"id"`
	Result json.RawMessage   `json:"result"`
	Error  string            `json:"error"`
	Event  string            `json:"event"`
	Args   []json.RawMessage `json:"args"`
}

// newClient starts the process of a client. It does not connect yet.
func newClient(t *testing.T, o clientOptions) *client {
	t.Helper()
	config, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, answers: map[int64]chan line{}, messages: make(chan json.RawMessage), events: make(chan line, 16),
	}
	ctx := t.Context()
	c.stdin, c.done = rtetest.MustFollow(t, nodeCommand(t, "client.mjs", string(config)), func(text []byte) {
		c.take(ctx, text)
	})
	return c
}

// connect starts a client and connects it.
func connect(t *testing.T, o clientOptions) *client {
	t.Helper()
	c := newClient(t, o)
	if err := c.start(); err != nil {
		t.Fatalf("connect to %s: %v", o.URL, err)
	}
	return c
}

// start connects.
func (c *client) start() error {
	_, err := c.do(map[string]any{"do": "start"})
	return err
}

// stop disconnects.
func (c *client) stop() {
	c.t.Helper()
	if _, err := c.do(map[string]any{"do": "stop"}); err != nil {
		c.t.Fatalf("stop: %v", err)
	}
}

// invoke calls a hub method. The error has the text of the client's rejected promise.
func (c *client) invoke(target string, args ...any) (json.RawMessage, error) {
	if args == nil {
		args = []any{}
	}
	return c.do(map[string]any{"do": "invoke", "target": target, "args": args})
}

// mustInvoke calls a hub method, decodes its result, and fails the test on an error.
func (c *client) mustInvoke(result any, target string, args ...any) {
	c.t.Helper()
	answer, err := c.invoke(target, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", target, err)
	}
	if err := json.Unmarshal(answer, result); err != nil {
		c.t.Fatalf("%s answered %s: %v", target, answer, err)
	}
}

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
	case <-time.After(rtetest.Patience):
		return nil, fmt.Errorf("no answer to %s", text)
	}
}

// take takes a line that the process prints.
func (c *client) take(ctx context.Context, text []byte) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		c.t.Errorf("the client printed %q", text)
		return
	}
	switch l.Event {
	case "":
		c.mu.Lock()
		c.answers[l.ID] <- l
		delete(c.answers, l.ID)
		c.mu.Unlock()
	case "message":
		if len(l.Args) != 1 {
			c.t.Errorf("MessageReceived came with %d arguments, want 1", len(l.Args))
			return
		}
		select {
		case c.messages <- l.Args[0]:
		case <-ctx.Done():
		}
	default:
		select {
		case c.events <- l:
		default:
			c.t.Errorf("the queue of the client's events is full: %q", text)
		}
	}
}

// message is a MessageReceived.
type message struct {
	Subscription map[string]any `json:"subscription"`
	Data         map[string]any `json:"data"`
}

// next waits for the next MessageReceived.
func (c *client) next() message {
	c.t.Helper()
	select {
	case text := <-c.messages:
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			c.t.Fatalf("MessageReceived %s: %v", text, err)
		}
		return m
	case <-c.done:
		c.t.Fatal("the client's process has ended")
	case <-time.After(rtetest.Patience):
		c.t.Fatal("no message arrived")
	}
	panic("unreachable")
}

// event waits for an event of the client, such as "close".
func (c *client) event(name string) line {
	c.t.Helper()
	select {
	case l := <-c.events:
		if l.Event != name {
			c.t.Fatalf("the client reported %q (%s), want %q", l.Event, l.Error, name)
		}
		return l
	case <-time.After(rtetest.Patience):
		c.t.Fatalf("the client did not report %q", name)
	}
	panic("unreachable")
}

// testWriter logs the output of a process.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// script is a Node script that runs to its end and prints lines.
type script struct {
	t       *testing.T
	scanner *bufio.Scanner
}

// startScript starts a command of nodeCommand. The end of the test waits for it.
func startScript(t *testing.T, cmd *exec.Cmd) *script {
	t.Helper()
	return startScriptFor(t, cmd, 2*rtetest.Patience)
}

// startScriptFor is startScript for a script that runs for longer.
func startScriptFor(t *testing.T, cmd *exec.Cmd, longest time.Duration) *script {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Kills the process if it hangs, so that reading its lines ends.
	hung := time.AfterFunc(longest, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		_, _ = io.Copy(io.Discard, stdout) // output without a reader
		_ = cmd.Wait()                     // a failed script prints too few lines
	})
	s := &script{t: t, scanner: bufio.NewScanner(stdout)}
	s.scanner.Buffer(nil, 8<<20)
	return s
}

// line returns the next line that the script prints.
func (s *script) line() string {
	s.t.Helper()
	if !s.scanner.Scan() {
		s.t.Fatalf("the script ended too early: %v", s.scanner.Err())
	}
	return s.scanner.Text()
}
