package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport/relay"
)

// relaySecret is the secret of the nodes of a test.
var relaySecret = []byte("the secret of all nodes, 32 bytes")

// nodes are servers that pass requests on to each other.
type nodes struct {
	all     []*server
	relays  []*relay.Relay
	servers []*relay.Server
}

// startNodes starts nodes that know of each other.
func startNodes(t *testing.T, number int, changes ...func(*setup)) *nodes {
	t.Helper()
	n := &nodes{}
	var mu sync.Mutex // guards n while the nodes start
	for i := range number {
		var running sync.WaitGroup
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r, err := relay.New(relay.Options{
			Secret: relaySecret, Answer: patience, Crowd: patience, // the machine of the tests may be busy
			Peers: func() (peers []string) {
				mu.Lock()
				defer mu.Unlock()
				for j, server := range n.servers {
					if j != i {
						peers = append(peers, server.Addr().String())
					}
				}
				return peers
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		s := startServer(t, append([]func(*setup){func(s *setup) {
			withResume(s)
			s.Secret, s.Relay = relaySecret, r
			s.Tokens.Announce = func(_ context.Context, message []byte) error {
				mu.Lock()
				defer mu.Unlock()
				for _, node := range n.all {
					if err := node.HandleRedemptions(message); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
		}}, changes...)...)
		server := r.NewServer(listener, s.Relayed())
		mu.Lock()
		n.all, n.relays, n.servers = append(n.all, s), append(n.relays, r), append(n.servers, server)
		mu.Unlock()
		running.Go(func() {
			if err := server.Serve(); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		})
		t.Cleanup(func() {
			r.Close()
			server.Close()
			running.Wait()
		})
	}
	return n
}

// resumable opens a connection with the first node, and waits until the others know that its token is used up.
func (n *nodes) resumable(protocol string) (w *wire, target string) {
	s := n.all[0]
	s.t.Helper()
	w, target = s.resumable(protocol)
	s.redeemed()
	return w, target
}

func TestRelay_continuesOnAnotherNode(t *testing.T) {
	n := startNodes(t, 3)
	owner, other := n.all[0], n.all[1]
	first, target := n.resumable("json")
	first.subscribeAck(owner)
	owner.status()
	seen := first.expectEvent()
	first.Close()
	second := other.continued(target, 2)
	second.expectText(`{"type":9,"sequenceId":1}`)
	if _, failure := second.completion("1"); failure != "" {
		t.Error(failure)
	}
	if again := second.expectEvent(); again != seen {
		t.Errorf("sent again: %s, before %s", again, seen)
	}
	second.expectText(`{"type":8,"sequenceId":1}`)
	second.text(`{"type":8,"sequenceId":2}` + separator)
	owner.status()
	second.expectEvent()
	if here, there := owner.Connections(), other.Connections(); here != 1 || there != 0 {
		t.Errorf("%d connections of the owner, %d of the other node", here, there)
	}
	if n := n.relays[1].Sockets(); n != 1 {
		t.Errorf("%d sockets are passed on", n)
	}

	// A third node takes over. The socket through the second one ends.
	third := n.all[2].continued(target, 2)
	third.expectText(`{"type":9,"sequenceId":3}`)
	third.expectEvent()
	second.expectEnd()
	third.expectText(`{"type":8,"sequenceId":1}`)
	owner.eventually("the relay of the second node is idle", func() bool { return n.relays[1].Sockets() == 0 })

	// A Close message of the owner ends the id on all nodes.
	owner.hub.CloseIf(hub.CloseRevoked, func(*hub.Session) bool { return true })
	if _, data, err := third.next(); err != nil || !strings.HasPrefix(string(data), `{"type":7`) {
		t.Errorf("%q %v", data, err)
	}
	third.expectClose(1000)
	for _, s := range n.all {
		if response, _ := s.connect().upgrade(target, "alice"); response.StatusCode != http.StatusNotFound {
			t.Errorf("after the end: %s", response.Status)
		}
	}
}

// A load balancer reloads, and all clients of a user return at once, to another node than before. All of them continue.
// A node used to refuse a search beyond 16 of one user. It took the owner for unreachable for a second when one of many
// connections to it was late.
func TestRelay_allReturnAtOnce(t *testing.T) {
	const clients = 40
	n := startNodes(t, 2)
	owner, other := n.all[0], n.all[1]
	var targets []string
	for range clients {
		w, target := owner.resumable("json")
		w.Close()
		targets = append(targets, target)
	}
	owner.eventually("all sockets are lost", func() bool {
		return owner.count("rte_fanout_outboxes_detached") == clients
	})
	owner.eventually("the other node knows that all tokens are used up", func() bool {
		return owner.count("rte_transport_redemptions_total", "result", "sent") == clients
	})
	sockets := make([]*wire, clients)
	for i := range sockets {
		sockets[i] = other.connect()
	}
	statuses := make([]string, clients)
	var running sync.WaitGroup
	for i, w := range sockets {
		running.Go(func() {
			response, body := w.upgrade(targets[i], "alice")
			statuses[i] = response.Status + body
		})
	}
	running.Wait()
	for i, status := range statuses {
		if status != "101 Switching Protocols" {
			t.Errorf("client %d: %s", i, status)
		}
	}
	for _, w := range sockets {
		w.text(sequence(1))
		w.expectText(`{"type":9,"sequenceId":1}`)
	}
}

// The owner decides about a passed request as about its own ones.
func TestRelay_refusals(t *testing.T) {
	for name, test := range map[string]struct {
		token  string
		before func(n *nodes)
		want   int
		goesOn bool
	}{
		"another user":         {token: "bob", want: http.StatusForbidden, goesOn: true},
		"another organization": {token: "carol", want: http.StatusForbidden, goesOn: true},
		"no token":             {want: http.StatusUnauthorized, goesOn: true},
		"an owner that drains": {
			token: "alice", before: func(n *nodes) { n.all[0].Drain() }, want: http.StatusNotFound, goesOn: true,
		},
		"an owner that is gone": {
			token: "alice", before: func(n *nodes) { n.servers[0].Close() }, want: http.StatusNotFound, goesOn: true,
		},
		"a node that drains": {
			token: "alice", before: func(n *nodes) { n.all[1].Drain() }, want: http.StatusServiceUnavailable, goesOn: true,
		},
		"nodes with other secrets": {
			token: "alice", before: func(n *nodes) { _ = n.relays[0].SetSecrets([]byte("another secret of 32 bytes......")) },
			want: http.StatusNotFound, goesOn: true,
		},
		"a session that ended": {
			token: "alice", before: func(n *nodes) {
				n.all[0].hub.CloseIf(hub.CloseRevoked, func(*hub.Session) bool { return true })
			}, want: http.StatusNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNodes(t, 2)
			_, target := n.resumable("json")
			if test.before != nil {
				test.before(n)
			}
			began := time.Now()
			response, body := n.all[1].connect().upgrade(target, test.token)
			if response.StatusCode != test.want {
				t.Errorf("%s %q, want %d", response.Status, body, test.want)
			}
			if took := time.Since(began); took > patience/4 { // a second, and the rest for a busy machine
				t.Errorf("the answer took %s", took)
			}
			if !test.goesOn {
				n.all[0].eventually("the connection has ended", func() bool { return n.all[0].Connections() == 0 })
			} else if left := n.all[0].Connections(); left != 1 {
				t.Errorf("%d connections are left", left)
			}
		})
	}
}

// A full node takes no further client from other nodes. A connection of its own still continues, in its place.
func TestRelay_fullOwner(t *testing.T) {
	n := startNodes(t, 2, func(s *setup) { s.Limits.Connections = 1 })
	_, target := n.resumable("json")
	n.all[1].continued(target, 1).expectText(`{"type":9,"sequenceId":1}`)
	n.all[0].continued(target, 1).expectText(`{"type":9,"sequenceId":1}`)
}

// If two nodes each believe that the other one has a connection, they must not pass a request to and fro.
func TestRelay_passesOnOnce(t *testing.T) {
	n := startNodes(t, 2)
	_, target := n.resumable("json")
	conn := n.dial(t, 1)
	request, _ := http.NewRequest(http.MethodGet, "https://rte"+target, http.NoBody)
	request.Header = http.Header{
		"Authorization": {"Bearer alice"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Rte-Client": {"192.0.2.1:1"},
	}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Fatalf("%v %v", response, err)
	}
	response.Body.Close()
}

// dial connects to the relay port of a node as another node does.
func (n *nodes) dial(t *testing.T, node int) net.Conn {
	t.Helper()
	config, err := relay.ClientConfig(relaySecret)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", n.servers[node].Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}
