package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/philippseith/signalr"

	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

const (
	// maxTapMessage bounds what a server can make the tap keep.
	maxTapMessage = 16 << 20
	// tapDialTimeout is how long connecting may take.
	tapDialTimeout = 10 * time.Second
)

// tapConn is a WebSocket as the library wants it. The library has one of its own, which cuts messages that are longer
// than its buffer; and it runs what it receives on a goroutine each, which loses the order. So this one is a stream of
// bytes, and hands each invocation on as it passes by.
type tapConn struct {
	*signalr.ConnectionBase
	ws      *websocket.Conn
	stream  net.Conn
	invoked func(method string, argument json.RawMessage)
	unsplit []byte // the begin of a record whose end has not come yet; owned by Read
}

var _ signalr.Connection = (*tapConn)(nil)

// dialTap connects without negotiation. invoked is called, by one goroutine at a time, for each invocation that the server
// sends: all of them have one argument.
func dialTap(ctx context.Context, url, token string, invoked func(method string, argument json.RawMessage)) (*tapConn, error) {
	dialing, cancel := context.WithTimeout(ctx, tapDialTimeout)
	defer cancel()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ws, _, err := websocket.Dial(dialing, url, &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
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
		c.look(record)
		c.unsplit = rest
	}
	if len(c.unsplit) > maxTapMessage {
		return n, errors.New("the server sent a message that is too large")
	}
	return n, err
}

// look hands on what a record brings if it is an invocation.
func (c *tapConn) look(record []byte) {
	var message struct {
		Target    string            `json:"target"`
		Arguments []json.RawMessage `json:"arguments"`
	}
	// What cannot be read is for the library to complain about.
	if json.Unmarshal(record, &message) == nil && message.Target != "" && len(message.Arguments) == 1 {
		c.invoked(message.Target, message.Arguments[0])
	}
}

// Write implements signalr.Connection.
func (c *tapConn) Write(p []byte) (int, error) { return c.stream.Write(p) }

// close ends the connection without a goodbye: the library has said it if there was time to.
func (c *tapConn) close() { _ = c.ws.CloseNow() }
