package rtetest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// HAProxy is a load balancer in front of nodes, with TLS and without sticky sessions.
type HAProxy struct {
	// Addr is the address for clients, as host:port.
	Addr string
	// HubURL is the URL of the hub.
	HubURL string
	// HTTP2URL is the URL of the hub on a port that also offers HTTP/2. deploy/haproxy.cfg has no such port.
	HTTP2URL string
	// Certificate is its certificate.
	Certificate *Certificate

	t      testing.TB
	master int    // process id
	http2  string // host and port of HTTP2URL
	stats  string // address of HAProxy's statistics, as host:port
}

// MustStartHAProxy starts HAProxy with deploy/haproxy.cfg and waits until it sends clients to all nodes. It changes
// only addresses, the certificate, the number of connections and the interval of health checks in the file. balance is
// "leastconn", as in the file, or "roundrobin". The end of the test stops HAProxy and checks that its log contains no
// token.
func MustStartHAProxy(t testing.TB, balance string, nodes ...*Server) *HAProxy {
	t.Helper()
	program := MustLookPath(t, "haproxy", "apt-get install haproxy")
	addr := MustFreeAddr(t)
	h := &HAProxy{
		Addr: addr, HubURL: "https://" + addr + "/rte", Certificate: MustMakeCertificate(t),
		t: t, http2: MustFreeAddr(t), stats: MustFreeAddr(t),
	}
	h.HTTP2URL = "https://" + h.http2 + "/rte"
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(h.config(balance, nodes)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &recorder{}
	cmd := exec.Command(program, "-W", "-f", path) // a master, which reloads, and a worker
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.master = cmd.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-h.master, syscall.SIGKILL) // the workers, too
		_ = cmd.Wait()                               // killed
		if hasToken(log.text()) {
			t.Error("the load balancer's log contains a token")
		}
		if t.Failed() {
			t.Logf("log of haproxy:\n%s", log.text())
		}
	})
	h.WaitFor(len(nodes))
	return h
}

// config returns deploy/haproxy.cfg for the nodes.
func (h *HAProxy) config(balance string, nodes []*Server) string {
	h.t.Helper()
	root, err := moduleRoot()
	if err != nil {
		h.t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(root, "deploy", "haproxy.cfg"))
	if err != nil {
		h.t.Fatal(err)
	}
	text := string(file)
	servers := strings.Builder{}
	for i, node := range nodes {
		// Clients use one port, health checks the other.
		_, checked, _ := strings.Cut(strings.TrimPrefix(node.ConsoleURL, "http://"), ":")
		fmt.Fprintf(&servers, "    server rte-%d %s port %s\n", i+1, node.Host, checked)
	}
	for _, change := range [][2]string{
		{"maxconn 50000", "maxconn 8000"},
		{"ipv4@127.0.0.1:9999", "ipv4@" + h.stats},
		{
			"bind :8443 ssl crt /etc/haproxy/certs/rte.pem alpn http/1.1",
			"bind " + h.Addr + " ssl crt " + h.Certificate.ServerFile + " alpn http/1.1\n" +
				"    bind " + h.http2 + " ssl crt " + h.Certificate.ServerFile + " alpn h2,http/1.1",
		},
		{"balance leastconn", "balance " + balance},
		{"check port 9090 inter 1s", "check inter 200ms"},
		{" resolvers containers", ""},
		{"    server rte-1 rte-1:8080\n    server rte-2 rte-2:8080\n", servers.String()},
	} {
		if !strings.Contains(text, change[0]) {
			h.t.Fatalf("deploy/haproxy.cfg has no %q", change[0])
		}
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	return text
}

// WaitFor waits until so many nodes are ready, as HAProxy sees them.
func (h *HAProxy) WaitFor(nodes int) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); h.up() != nodes; <-tick.C {
		if time.Now().After(deadline) {
			h.t.Fatalf("HAProxy sees %d ready nodes, want %d", h.up(), nodes)
		}
	}
}

// RuntimeAPI returns the address of its runtime API.
func (h *HAProxy) RuntimeAPI() string { return h.stats }

// Reload makes HAProxy read its configuration again: a new worker accepts connections, the old one keeps those that it
// has.
func (h *HAProxy) Reload() {
	h.t.Helper()
	before := h.Workers()
	if err := syscall.Kill(h.master, syscall.SIGUSR2); err != nil {
		h.t.Fatal(err)
	}
	h.WaitForWorkers(before + 1)
}

// Workers returns the number of its workers.
func (h *HAProxy) Workers() int {
	h.t.Helper()
	return len(childrenOf(h.t, h.master))
}

// WaitForWorkers waits until there are so many workers.
func (h *HAProxy) WaitForWorkers(number int) {
	h.t.Helper()
	waitForChildren(h.t, h.master, number)
}

// childrenOf returns the ids of the children of a process.
func childrenOf(t testing.TB, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// waitForChildren waits until a process has a number of children.
func waitForChildren(t testing.TB, pid, number int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); len(childrenOf(t, pid)) != number; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the load balancer has %d workers, want %d", len(childrenOf(t, pid)), number)
		}
	}
}

// up returns the number of nodes that are ready, as HAProxy sees them, -1 if it does not answer.
func (h *HAProxy) up() int {
	conn, err := net.Dial("tcp", h.stats)
	if err != nil {
		return -1
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(Patience)) // if it fails, the next call fails too
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		return -1
	}
	table, err := io.ReadAll(conn)
	if err != nil {
		return -1
	}
	up := 0
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "nodes,rte-") && strings.Contains(line, ",UP,") {
			up++
		}
	}
	return up
}
