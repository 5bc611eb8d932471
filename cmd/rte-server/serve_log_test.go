package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// process is the program in a process of its own.
type process struct {
	running

	cmd   *exec.Cmd
	ended chan error
}

// startProcess starts a server whose log goes to stderr, and waits until it is ready.
func startProcess(t *testing.T, stderr *os.File, args ...string) *process {
	t.Helper()
	clients, operators := rtetest.MustFreeAddr(t), rtetest.MustFreeAddr(t)
	args = serveArgs(
		append(
			args, "--listen="+clients, "--console.listen="+operators, "--shutdown.timeout=5s", "--timeouts.close=100ms",
		)...,
	)
	p := &process{
		running: running{t: t, clients: "http://" + clients, operators: "http://" + operators},
		cmd:     exec.Command("rte-server", args...), //nolint:noctx // the test ends it by signals
		ended:   make(chan error, 1),
	}
	p.cmd.Stderr = stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	eventually(t, "a server that is ready", func() bool {
		status, _ := fetch(t, "GET", p.operators+"/readyz")
		return status == 200
	})
	return p
}

// terminate sends a signal and checks that the process ends within patience.
func (p *process) terminate(signal os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("the process ended with %v", err)
		}
	case <-time.After(patience):
		p.t.Fatalf("the process does not end at %s", signal)
	}
}

// fillLog makes the server log refusals until it drops lines, and returns how many.
func (p *process) fillLog(c *client) (dropped int) {
	p.t.Helper()
	const items = 300
	c.ws.SetReadLimit(-1)
	item := `{"EntityId":"` + otherOrganization + `","EventName":"UserAlert"}`
	call := `{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[` + strings.Repeat(item+",", items-1) +
		item + `]]}`
	eventually(p.t, "lines that are dropped", func() bool {
		c.send(call)
		c.expect(`"subscribed":false`)
		dropped, _ = strconv.Atoi(p.metric("rte_log_lines_dropped_total"))
		return dropped > 0
	})
	return dropped
}

// checkServes checks that connected clients and a new one are served.
func (p *process) checkServes(token string, connected ...*client) {
	p.t.Helper()
	for _, c := range append(connected, p.connect(token, "")) {
		if answer := c.subscribe(testUser, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
			p.t.Fatalf("subscribed: %s", answer)
		}
	}
}

// A log reader had stopped, and every line of the log waited for the pipe: the node did handshakes, but answered no
// call, and SIGTERM could not stop it.
func TestServe_goesOnWithoutALogReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	p := startProcess(t, writer, "--log.audit_rate=1000000", "--quotas.user_connections=0")
	_ = writer.Close()
	token := mustServiceToken(t, testOrganization)
	agent := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	clients := make([]*client, 1000)
	for i := range clients {
		clients[i] = p.connect(token, "")
	}
	p.fillLog(p.connect(agent, ""))
	p.checkServes(token, clients...)
	p.terminate(syscall.SIGTERM)
}

// A log reader that had ended killed the node by SIGPIPE, without a drain.
func TestServe_goesOnAfterTheEndOfItsLogReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, writer)
	_ = writer.Close()
	_ = reader.Close()
	token := mustServiceToken(t, testOrganization)
	c := p.connect(token, "")
	eventually(t, "lines that are dropped", func() bool { return p.metric("rte_log_lines_dropped_total") != "0" })
	p.checkServes(token, c)
	p.terminate(syscall.SIGTERM)
	c.expect(`{"type":7,"allowReconnect":true}`)
}

// A full disk lost lines of the log, and nothing counted them.
func TestServe_countsLogLinesOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	p := startProcess(t, full)
	token := mustServiceToken(t, testOrganization)
	eventually(t, "lines that are dropped", func() bool { return p.metric("rte_log_lines_dropped_total") != "0" })
	p.checkServes(token)
	p.terminate(syscall.SIGTERM)
}
