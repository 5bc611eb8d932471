package transport_test

import (
	"net/http"
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
	for range 10 {
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
