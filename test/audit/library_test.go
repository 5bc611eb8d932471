package audit

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// library is a Node process with Microsoft's JavaScript clients.
type library struct {
	t       *testing.T
	url     string
	members []*member // by the number of their connection
	mu      sync.Mutex
	stdin   io.Writer // guarded by mu
	running sync.WaitGroup
}

// libraryCommand is the command that runs the clients. test/clients has the script, and doc.go there its lines.
func libraryCommand(t *testing.T) *exec.Cmd {
	t.Helper()
	node := rtetest.MustLookPath(t, "node", "make deps")
	if _, err := os.Stat("../clients/node/node_modules/signalr-10"); err != nil {
		t.Fatal("the npm modules of test/clients are missing: make deps")
	}
	cmd := exec.Command(node, "node.js", "10")
	cmd.Dir = "../clients/node"
	// The load balancer of these tests signs its own certificate.
	cmd.Env = append(os.Environ(), "NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// startLibrary starts the clients. The end of the test ends them.
func startLibrary(t *testing.T, url string, members []*member) {
	t.Helper()
	l := &library{t: t, url: url, members: members}
	stdin, _ := rtetest.MustFollow(t, libraryCommand(t), l.take)
	l.mu.Lock()
	l.stdin = stdin
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	for i := range members {
		l.open(i)
		l.running.Go(func() { l.makeCalls(ctx, i) })
	}
	t.Cleanup(func() {
		cancel()
		l.running.Wait()
	})
}

// send sends a command of a client. A client makes one call at a time, so the number of the client is the id of the
// call. The id of an open is negative.
func (l *library) send(i int, command map[string]any) {
	command["connection"], command["id"] = i, i
	if command["do"] == "open" {
		command["id"] = -1 - i
	}
	text, err := json.Marshal(command)
	if err != nil {
		l.t.Error(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.stdin.Write(append(text, '\n')) // the process ends with the test
}

// open connects a client.
func (l *library) open(i int) {
	token, _ := l.members[i].token()
	delays := []int{0, 200, 500}
	for range 100 {
		delays = append(delays, 1000)
	}
	protocol := "json"
	if i%2 == 1 {
		protocol = "messagepack"
	}
	l.send(i, map[string]any{"do": "open", "url": l.url, "token": token, "protocol": protocol, "retryDelays": delays})
}

// libraryLine is a line of the process.
type libraryLine struct {
	ID         *int
	Error      string
	Result     json.RawMessage
	Connection int
	Event      string
	Message    json.RawMessage
}

// take takes a line of the process. The first one has the protocols.
func (l *library) take(text []byte) {
	var line libraryLine
	if err := json.Unmarshal(text, &line); err != nil {
		l.t.Errorf("a client printed %q", text)
		return
	}
	if line.ID != nil {
		l.done(*line.ID, line)
		return
	}
	m := l.members[line.Connection]
	switch line.Event {
	case "message":
		m.received(line.Message)
	case "reconnecting":
		m.closed(line.Error)
	case "reconnected":
		m.opened(0)
	case "closed": // Microsoft's client has given up; a program connects again
		m.closed(line.Error)
		time.AfterFunc(time.Second, func() { l.open(line.Connection) })
	}
}

// done takes the end of a command.
func (l *library) done(i int, line libraryLine) {
	switch {
	case i >= 0 && line.Error == "":
		l.members[i].answered(line.Result)
	case i >= 0:
		l.members[i].answered(nil)
	case line.Error != "": // it could not connect
		time.AfterFunc(time.Second, func() { l.open(-1 - i) })
	default:
		l.members[-1-i].opened(0)
	}
}

// makeCalls makes the calls of a client until ctx ends.
func (l *library) makeCalls(ctx context.Context, i int) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ; ctx.Err() == nil; <-tick.C {
		if made := l.members[i].nextCall(); made != nil {
			l.send(i, map[string]any{"do": "invoke", "target": made.target, "args": made.arguments()})
		}
	}
}
