package transport_test

import (
	"sync/atomic"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// The outbox of a connection may end while the reader, whose socket is lost, prepares to wait for another socket. No
// socket comes any more, so the reader must end. It would wait for ever, and a shutdown for it.
func TestResume_endsWhileTheReaderStops(t *testing.T) {
	opened := make(chan *endsAtLoss, 1)
	s := startServer(t, withResume, func(o *setup) {
		open := o.Open
		o.Open = func(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
			ended := make(chan struct{})
			session, err := open(&observedEnd{conn, ended}, claims)
			ending := &endsAtLoss{Session: session, ended: ended}
			opened <- ending
			t.Cleanup(func() {
				if t.Failed() {
					conn.Ended(fanout.EndClosed) // ends the reader, for which the shutdown waits
				}
			})
			return ending, err
		}
	})
	first, _ := s.resumable("json")
	(<-opened).armed.Store(true)
	first.Close()
	s.eventually("the connection has ended", func() bool { return s.Connections() == 0 })
}

// endsAtLoss is a session that ends when the reader reports the loss of the socket to the outbox.
type endsAtLoss struct {
	transport.Session

	armed atomic.Bool
	ended chan struct{}
}

func (s *endsAtLoss) Outbox() *fanout.Outbox {
	if s.armed.Load() {
		s.Close(hub.CloseGone)
		<-s.ended
	}
	return s.Session.Outbox()
}

// observedEnd closes a Go channel when the outbox has ended.
type observedEnd struct {
	hub.Conn

	ended chan struct{}
}

func (c *observedEnd) Ended(reason fanout.EndReason) {
	c.Conn.Ended(reason)
	close(c.ended)
}
