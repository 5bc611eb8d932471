package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// server is an HTTP server on an open port.
type server struct {
	http     *http.Server
	listener net.Listener
	answer   func(*http.Server, net.Listener) error // serves listener by means of http; (*http.Server).Serve by default
}

// newServer opens a port for s. The server speaks HTTP/1.1 only: WebSockets are an upgrade of that version. unconfirmed
// is the longest time without a confirmation by the peer; then the connection ends.
func newServer(address string, unconfirmed time.Duration, logger *zap.Logger, s *http.Server) (*server, error) {
	errorLog, err := zap.NewStdLogAt(logger, zap.WarnLevel)
	if err != nil {
		return nil, err
	}
	s.ErrorLog = errorLog
	s.Handler = takeUnread(s.Handler)
	s.IdleTimeout = 75 * time.Second // longer than common clients keep a connection that they do not use
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	listening := net.ListenConfig{Control: boundUnconfirmed(unconfirmed)}
	listener, err := listening.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	return &server{http: s, listener: listener, answer: (*http.Server).Serve}, nil
}

// serve answers requests until shutdown or close.
func (s *server) serve(context.Context) error {
	if err := s.answer(s.http, s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close ends the server at once and gives up its running requests.
func (s *server) close() {
	_ = s.http.Close()
	_ = s.listener.Close() // http knows the listener only once it serves
}
