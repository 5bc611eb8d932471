package transport_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
)

// A POST that asks for a WebSocket gets none. Eight of them, whose bodies never came, once took all turns for upgrades
// of a node: no client of any user could continue through it.
func TestRelay_aPostIsNoUpgrade(t *testing.T) {
	n := startNodes(t, 2, withFallbacks)
	_, socket := n.resumable("json")
	target := n.all[0].longPolling("json")
	for range 8 { // the owner answers a tenth one at once
		w := n.all[1].connect()
		w.write([]byte("POST " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\nConnection: Upgrade\r\n" +
			"Upgrade: websocket\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"))
		// The node asks for the body once it works on the request.
		if response, err := http.ReadResponse(w.in, nil); err != nil || response.StatusCode != http.StatusContinue {
			t.Fatalf("%v %v", response, err)
		}
	}
	n.all[1].continued(socket, 1).expectText(`{"type":9,"sequenceId":1}`)
}

// slowVerifier takes long to check a token of alice, while it is slow.
type slowVerifier struct {
	slow    atomic.Bool
	waiting atomic.Int32
	open    chan struct{}
}

func (v *slowVerifier) Verify(text string) (*authz.Claims, error) {
	if text == "alice" && v.slow.Load() {
		v.waiting.Add(1)
		<-v.open
	}
	return bearers.Verify(text)
}

// One user whose upgrades take long at the owner leaves turns to others.
func TestRelay_leavesTurnsToOtherUsers(t *testing.T) {
	owner, started := &slowVerifier{open: make(chan struct{})}, 0
	n := startNodes(t, 2, func(s *setup) {
		if started++; started == 1 {
			s.Verifier = owner
		}
	})
	_, alices := n.resumable("json")
	_, bobs := n.all[0].resumableOf("bob", "json")
	n.all[0].eventually("the other node knows that both tokens are used up", func() bool {
		return n.all[0].count("rte_transport_redemptions_total", "result", "sent") == 2
	})
	owner.slow.Store(true)
	for range 30 {
		n.all[1].connect().write([]byte("GET " + alices + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n" +
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	}
	n.all[0].eventually("the owner has some", func() bool { return owner.waiting.Load() >= 4 })
	n.all[1].againOf("bob", bobs).text(sequence(1))
	if waiting := owner.waiting.Load(); waiting > 4 {
		t.Errorf("%d upgrades of one user are under way", waiting)
	}
	close(owner.open)
}

// The head of a stream does not wait for a body that the client announces and never sends.
func TestServerSentEvents_aBodyThatNeverComes(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) {
		s.web = func(web *http.Server) { web.ReadTimeout = 100 * time.Millisecond }
	})
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	w := s.connect()
	w.write([]byte("GET " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n" + acceptStream +
		"\r\nContent-Length: 10\r\n\r\n"))
	response, err := http.ReadResponse(w.in, nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response, err)
	}
	w.Close()
	response.Body.Close()
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
}

// A node that an attacker controls reaches the hub only, with requests as small and as plain as those of clients.
func TestRelay_requestsOfAHostileNode(t *testing.T) {
	n := startNodes(t, 1, withFallbacks)
	target := n.all[0].longPolling("json")
	const host, client = " HTTP/1.1\r\nHost: rte\r\n", "Rte-Client: 192.0.2.1:1\r\n"
	const alice = "Authorization: Bearer alice\r\n"
	get, post := "GET "+target+host, "POST "+target+host+client+alice
	large := strings.Repeat("x", 200<<10)
	for name, test := range map[string]struct {
		request string
		want    int
	}{
		"a large head":             {get + client + "X: " + large + "\r\n\r\n", 431},
		"many headers":             {get + client + strings.Repeat("X: y\r\n", 20_000) + "\r\n", 431},
		"a large search":           {get + "Rte-Find: " + large[:60<<10] + "\r\n\r\n", 404},
		"no address of the client": {get + alice + "\r\n", 400},
		"a name as the address":    {get + "Rte-Client: x:1\r\n" + alice + "\r\n", 400},
		"no token":                 {get + client + "\r\n", 401},
		"another path":             {"GET /metrics" + host + client + alice + "\r\n", 404},
		"a chunked body":           {post + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", 400},
		"a trailer":                {post + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", 400},
		"two kinds of length":      {post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"two lengths":              {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400},
		"a body of 17 MiB":         {post + "Content-Length: 17825792\r\n\r\n", 413},
		"an upgrade in a POST": {
			post + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 11\r\n\r\n" + ping, 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := n.dial(t, 0)
			go func() { _, _ = io.WriteString(conn, test.request) }() // the node may answer before it has all
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != test.want {
				t.Errorf("%v %v, want %d", response, err, test.want)
			}
		})
	}
	if left := n.all[0].Connections(); left != 1 {
		t.Errorf("%d connections are left", left)
	}
}
