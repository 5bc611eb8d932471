package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/philippseith/signalr"

	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

const (
	// maxTapMessage bounds the memory of a message.
	maxTapMessage = 16 << 20
	// tapDialTimeout bounds connecting.
	tapDialTimeout = 10 * time.Second
)

// tapConn is a WebSocket connection for the library. The library's own connection truncates messages that are longer
// than its buffer, and the library runs each invocation on a goroutine of its own, which loses the order. Therefore
// tapConn is a stream of bytes that also passes each invocation to invoked, in order.
type tapConn struct {
	*signalr.ConnectionBase
	ws      *websocket.Conn
	stream  net.Conn
	invoked func(method string, argument json.RawMessage)
	unsplit []byte // the beginning of a record that is still arriving; owned by Read
}

var _ signalr.Connection = (*tapConn)(nil)

// dialTap connects without negotiation. It calls invoked, from one goroutine at a time, for each invocation of the
// server. All invocations of this server have one argument.
func dialTap(
	ctx context.Context, url, token string, invoked func(method string, argument json.RawMessage),
) (*tapConn, error) {
	dialing, cancel := context.WithTimeout(ctx, tapDialTimeout)
	defer cancel()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	//nolint:bodyclose // the library closes it
	ws, response, err := websocket.Dial(dialing, url, &websocket.DialOptions{HTTPHeader: header})
	switch {
	case err != nil && response != nil && response.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("401: %s", adviceOnToken(token, time.Now()))
	case err != nil:
		return nil, fmt.Errorf("%w%s", err, adviceOnConnect(err, "--url names another address"))
	}
	ws.SetReadLimit(maxTapMessage)
	return &tapConn{
		ConnectionBase: signalr.NewConnectionBase(ctx, ""), ws: ws,
		stream: websocket.NetConn(ctx, ws, websocket.MessageText), invoked: invoked,
	}, nil
}

// Read implements signalr.Connection.
func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	c.unsplit = append(c.unsplit, p[:n]...)
	for {
		record, rest, complete := bytes.Cut(c.unsplit, []byte{hubprotocol.RecordSeparator})
		if !complete {
			break
		}
		c.inspect(record)
		c.unsplit = rest
	}
	if len(c.unsplit) > maxTapMessage {
		return n, errors.New("the server sent a message that is too large")
	}
	return n, err
}

// inspect calls invoked if a record is an invocation.
func (c *tapConn) inspect(record []byte) {
	var message struct {
		Target    string            `json:"target"`
		Arguments []json.RawMessage `json:"arguments"`
	}
	// The library reports malformed records.
	if json.Unmarshal(record, &message) == nil && message.Target != "" && len(message.Arguments) == 1 {
		c.invoked(message.Target, message.Arguments[0])
	}
}

// Write implements signalr.Connection.
func (c *tapConn) Write(p []byte) (int, error) { return c.stream.Write(p) }

// close ends the connection without a close handshake: the library has done it if there was time.
func (c *tapConn) close() { _ = c.ws.CloseNow() }
