package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/transport/relay"
)

const patience = time.Minute

var secret = []byte("the secret of all nodes, 32 bytes")

// node is a node whose transport is a function. It has the connections whose ids begin with its name.
type node struct {
	*relay.Relay
	t       testing.TB
	server  *relay.Server
	clients *httptest.Server // its port for clients, which passes on all requests
	metrics *prometheus.Registry

	mu      sync.Mutex // guards peers
	peers   []string
	handler http.HandlerFunc
}

// startNode starts a node. handler answers the requests that other nodes pass on to it.
func startNode(t testing.TB, name string, handler http.HandlerFunc, changes ...func(*relay.Options)) *node {
	t.Helper()
	n := &node{t: t, metrics: prometheus.NewPedanticRegistry(), handler: handler}
	o := relay.Options{Secret: secret, Peers: n.known, Registerer: n.metrics, Close: time.Second}
	for _, change := range changes {
		change(&o)
	}
	var err error
	if n.Relay, err = relay.New(o); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.server = n.NewServer(listener, relay.Served{
		Handler: handler,
		State: func(id string) relay.State {
			switch {
			case strings.HasPrefix(id, name+"-ended"):
				return relay.Ended
			case strings.HasPrefix(id, name):
				return relay.Here
			default:
				return relay.Unknown
			}
		},
	})
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.server.Serve(); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	n.clients = httptest.NewServer(http.HandlerFunc(n.pass))
	t.Cleanup(func() {
		n.Close()
		n.server.Close()
		n.clients.CloseClientConnections()
		n.clients.Close()
		running.Wait()
	})
	return n
}

// pass passes a request on to the owner of the connection in its query.
func (n *node) pass(w http.ResponseWriter, r *http.Request) {
	address, ok := n.Find(r.Context(), r.URL.Query().Get("id"))
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	pass := n.Forward
	if r.Header.Get("Upgrade") != "" {
		pass = func(w http.ResponseWriter, r *http.Request, address string) error {
			return n.Upgrade(w, r, address, hijack)
		}
	}
	if err := pass(w, r, address); err != nil {
		w.Header().Set("Relay-Error", err.Error())
		w.WriteHeader(http.StatusNotFound)
	}
}

func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	return conn, early, nil
}

func (n *node) known() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peers
}

// know makes a node know others.
func (n *node) know(others ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers = others
}

func (n *node) addr() string { return n.server.Addr().String() }

// startNodes starts a node that gets requests, and the owner of the connections that begin with "owner".
func startNodes(t testing.TB, handler http.HandlerFunc, changes ...func(*relay.Options)) (entry, owner *node) {
	t.Helper()
	entry, owner = startNode(t, "entry", nil, changes...), startNode(t, "owner", handler)
	entry.know(owner.addr())
	return entry, owner
}

// count returns the value of a metric with a label.
func (n *node) count(name, label string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && (label == "" || metric.GetLabel()[0].GetValue() == label) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	n.t.Fatalf("no metric %s %s", name, label)
	return 0
}

func (n *node) eventually(what string, condition func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("not in time: %s", what)
		}
	}
}

// fetch makes a request to the port for clients.
func (n *node) fetch(method, target, body string) (*http.Response, string) {
	n.t.Helper()
	request, err := http.NewRequest(method, n.clients.URL+target, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.7")
	request.Header.Set("Rte-Client", "198.51.100.1:1") // a client cannot name another address
	request.Header.Set("Rte-Find", "owner")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return response, string(text)
}

// switching is the head of an answer that upgrades.
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// echo is an owner that upgrades, and sends all bytes back.
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, early, err := hijack(w)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, switching+"early ")
	_, _ = io.Copy(conn, io.MultiReader(bytes.NewReader(early), conn))
}

// upgrade opens a socket through a node.
func (n *node) upgrade(id string) (net.Conn, *bufio.Reader, int) {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.clients.Listener.Addr().String())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn,
		"GET /rte?id="+id+" HTTP/1.1\r\nHost: rte\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nnow ")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
	if err != nil {
		n.t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return conn, reader, response.StatusCode
}

func expect(t testing.TB, reader io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
		t.Fatalf("%q %v, want %q", got, err, want)
	}
}

func TestUpgrade_copiesBothWays(t *testing.T) {
	entry, _ := startNodes(t, echo)
	conn, reader, status := entry.upgrade("owner-1")
	if status != http.StatusSwitchingProtocols {
		t.Fatal(status)
	}
	expect(t, reader, "early now ")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	go func() { _, _ = conn.Write(large) }()
	expect(t, reader, string(large))
	if entry.Sockets() != 1 || entry.count("rte_relay_passed", "") != 1 {
		t.Errorf("%d sockets, %v places", entry.Sockets(), entry.count("rte_relay_passed", ""))
	}
	if n := entry.count("rte_relay_bytes_total", "owner"); n != float64(len(large)+4) {
		t.Errorf("%v bytes", n)
	}
	conn.Close()
	entry.eventually("the place is free", func() bool {
		return entry.Sockets() == 0 && entry.count("rte_relay_passed", "") == 0 &&
			entry.count("rte_relay_buffer_bytes", "") == 0
	})
}

// If the node itself ends the TLS of its clients, bytes go both ways, too.
func TestUpgrade_clientsWithTLS(t *testing.T) {
	entry, _ := startNodes(t, echo)
	secured := httptest.NewTLSServer(http.HandlerFunc(entry.pass))
	defer secured.Close()
	defer entry.Close()
	conn, err := tls.Dial("tcp", secured.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn,
		"GET /rte?id=owner-1 HTTP/1.1\r\nHost: rte\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response, err)
	}
	expect(t, reader, "early ")
	large := strings.Repeat("0123456789abcdef", 1<<13)
	go func() { _, _ = io.WriteString(conn, large) }()
	expect(t, reader, large)
}

// The end of the owner, the move of a node and its close end the socket of a client.
func TestUpgrade_ends(t *testing.T) {
	for name, end := range map[string]func(entry *node, owner net.Conn){
		"the owner":    func(_ *node, owner net.Conn) { owner.Close() },
		"a dead owner": func(_ *node, owner net.Conn) { reset(owner) },
		"a drain":      func(entry *node, _ net.Conn) { entry.Move(context.Background(), time.Millisecond) },
		"a stop":       func(entry *node, _ net.Conn) { entry.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			upgraded := make(chan net.Conn, 1)
			entry, _ := startNodes(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, switching+"hello")
				upgraded <- conn
			})
			_, reader, _ := entry.upgrade("owner-1")
			expect(t, reader, "hello")
			owner := <-upgraded
			defer owner.Close()
			end(entry, owner)
			if _, err := reader.ReadByte(); err == nil {
				t.Error("a byte after the end")
			}
			entry.eventually("the socket is forgotten", func() bool { return entry.Sockets() == 0 })
		})
	}
}

// reset ends a connection as the kernel does for a killed process.
func reset(conn net.Conn) {
	tcp := conn.(*tls.Conn).NetConn().(*net.TCPConn)
	_ = tcp.SetLinger(0)
	tcp.Close()
}

// A client that does not read stops its owner, within the buffers of two kernels, and ends after Options.Send.
func TestUpgrade_aSlowClientStopsTheOwner(t *testing.T) {
	taken := make(chan int)
	entry, _ := startNodes(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := hijack(w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, switching)
		chunk, sum := make([]byte, 4<<10), 0
		for {
			n, err := conn.Write(chunk)
			if sum += n; err != nil {
				taken <- sum
				return
			}
		}
	}, func(o *relay.Options) { o.Send = 200 * time.Millisecond })
	entry.upgrade("owner-1")
	if sum := <-taken; sum > 16<<20 {
		t.Errorf("the owner wrote %d KB to a client that reads nothing", sum>>10)
	}
}

func TestUpgrade_bounds(t *testing.T) {
	entry, _ := startNodes(t, echo, func(o *relay.Options) { o.Connections = 1 })
	if _, _, status := entry.upgrade("owner-1"); status != http.StatusSwitchingProtocols {
		t.Fatal(status)
	}
	if _, _, status := entry.upgrade("owner-2"); status != http.StatusNotFound {
		t.Errorf("beyond the bound: %d", status)
	}
	if n := entry.count("rte_relay_requests_total", "full"); n != 1 {
		t.Errorf("%v counted", n)
	}
}

// An owner that answers with an error, or takes too long, counts as no owner.
func TestUpgrade_anOwnerThatFails(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	for name, handler := range map[string]http.HandlerFunc{
		"is stopping":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"does not answer": func(_ http.ResponseWriter, _ *http.Request) { <-block },
	} {
		t.Run(name, func(t *testing.T) {
			entry, _ := startNodes(t, handler)
			began := time.Now()
			_, _, status := entry.upgrade("owner-1")
			if took := time.Since(began); status != http.StatusNotFound || took > patience/4 {
				t.Errorf("%d after %s", status, took)
			}
			if n := entry.count("rte_relay_requests_total", "owner"); n != 1 {
				t.Errorf("%v counted", n)
			}
		})
	}
}

// While the secret is replaced, nodes accept both.
func TestRelay_replacesItsSecret(t *testing.T) {
	entry, owner := startNodes(t, echo)
	next := []byte("the next secret of all nodes, 32")
	for _, step := range []func() error{
		func() error { return owner.SetSecrets(secret, next) },
		func() error { return entry.SetSecrets(next, secret) },
		func() error { return owner.SetSecrets(next, secret) },
		func() error { return entry.SetSecrets(next) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if _, ok := entry.Find(t.Context(), "owner-1"); !ok {
			t.Fatal("the nodes do not know each other any more")
		}
	}
	if err := owner.SetSecrets([]byte("a third one")); err != nil {
		t.Fatal(err)
	}
	entry.eventually("the other node is a stranger", func() bool {
		_, _, status := entry.upgrade("owner-1")
		return status == http.StatusNotFound
	})
}

func TestNew_namesWhatIsMissing(t *testing.T) {
	if _, err := relay.New(relay.Options{Secret: secret}); err == nil {
		t.Error("no error without Peers")
	}
	if _, err := relay.New(relay.Options{Peers: func() []string { return nil }}); err == nil {
		t.Error("no error without Secret")
	}
}
