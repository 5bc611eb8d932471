package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/rte-server/rte-server/bench/load"
)

// Errors of a group.
var (
	errExtension = errors.New("compression is not as configured")
	errRefused   = errors.New("server refused")
	errEvent     = errors.New("malformed event")
)

const (
	connecting   = 32 // connections at once
	keepAlive    = 10 * time.Second
	messageLimit = 1 << 20
	// plain is the size from which clients compress what they send: never.
	plain = 1 << 30
)

// delivery is part of every delivered event, and of no other record.
var delivery = []byte(`"subscription":{"id":`)

// group is a number of clients that offer permessage-deflate and subscribe to the same topics. They inflate what they
// receive.
type group struct {
	dialect   load.Dialect
	deflate   bool // the server must grant compression, else it must not
	topics    []uint32
	transport *http.Transport
	received  atomic.Int64   // bytes from the sockets
	delivered atomic.Int64   // events
	seen      map[string]int // deliveries to the first client, by id of the event; complete after close

	ctx  context.Context
	stop context.CancelFunc
	work *errgroup.Group
}

// counted counts the bytes that are read from a socket.
type counted struct {
	net.Conn
	received *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// openGroup connects n clients and subscribes them.
func openGroup(ctx context.Context, n int, dialect load.Dialect, deflate bool, topics []uint32) (*group, error) {
	g := &group{dialect: dialect, deflate: deflate, topics: topics, seen: map[string]int{}}
	g.transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return counted{conn, &g.received}, nil
	}}
	g.ctx, g.stop = context.WithCancel(ctx)
	g.work, g.ctx = errgroup.WithContext(g.ctx)
	conns := make([]*websocket.Conn, n)
	var opening errgroup.Group
	opening.SetLimit(connecting)
	for i := range conns {
		opening.Go(func() (err error) {
			if conns[i], err = g.connect(i); err == nil {
				g.work.Go(func() error { return g.receive(conns[i], i == 0) })
			}
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.work.Go(func() error { return g.keepAlive(conns) })
	return g, nil
}

// close ends the clients, and returns the first failure of one of them.
func (g *group) close() error {
	g.stop()
	err := g.work.Wait()
	g.transport.CloseIdleConnections()
	return err
}

// connect opens a connection and subscribes it.
func (g *group) connect(index int) (*websocket.Conn, error) {
	identity := load.Identity{Index: index}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(g.dialect.Upgrade(identity))))
	if err != nil {
		return nil, fmt.Errorf("read upgrade: %w", err)
	}
	//nolint:bodyclose // the connection has it
	conn, response, err := websocket.Dial(g.ctx, "ws://"+request.Host+request.URL.RequestURI(), &websocket.DialOptions{
		HTTPClient:           &http.Client{Transport: g.transport},
		CompressionMode:      websocket.CompressionNoContextTakeover,
		CompressionThreshold: plain,
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if answer := response.Header.Get("Sec-WebSocket-Extensions"); (answer != "") != g.deflate {
		return nil, errors.Join(fmt.Errorf("%w: the answer is %q", errExtension, answer), conn.CloseNow())
	}
	conn.SetReadLimit(messageLimit)
	err = g.request(conn, g.dialect.Hello(identity), load.Welcome, 1)
	for batch := range slices.Chunk(g.topics, g.dialect.Batch()) {
		if err == nil {
			err = g.request(conn, g.dialect.Subscribe(batch), load.Subscribed, len(batch))
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	return conn, nil
}

// request sends a message and waits until records of a kind confirm it n times.
func (g *group) request(conn *websocket.Conn, message []byte, kind load.RecordKind, n int) error {
	if err := conn.Write(g.ctx, websocket.MessageText, message); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for n > 0 {
		records, err := g.read(conn)
		if err != nil {
			return err
		}
		for _, record := range records {
			switch got := g.dialect.Classify(record); {
			case got.Kind == load.Refused:
				return fmt.Errorf("%w: %.200s", errRefused, record)
			case got.Kind == kind:
				n -= max(got.Topics, 1)
			}
		}
	}
	return nil
}

// read reads a message and returns its records.
func (g *group) read(conn *websocket.Conn) ([][]byte, error) {
	_, message, err := conn.Read(g.ctx)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return bytes.Split(message, []byte{g.dialect.Separator()}), nil
}

// receive counts deliveries until the group ends.
func (g *group) receive(conn *websocket.Conn, first bool) error {
	defer func() { _ = conn.CloseNow() }()
	for {
		records, err := g.read(conn)
		if g.ctx.Err() != nil {
			return nil
		}
		for i := 0; err == nil && i < len(records); i++ {
			err = g.take(conn, records[i], first)
		}
		if err != nil {
			return err
		}
	}
}

func (g *group) take(conn *websocket.Conn, record []byte, first bool) error {
	if bytes.Contains(record, delivery) {
		g.delivered.Add(1)
		if first {
			return g.note(record)
		}
		return nil
	}
	switch g.dialect.Classify(record).Kind {
	case load.Ping:
		return conn.Write(g.ctx, websocket.MessageText, g.dialect.Pong())
	case load.Refused:
		return fmt.Errorf("%w: %.200s", errRefused, record)
	default:
		return nil
	}
}

// note notes the id of a delivered event. The error reports an event that is not whole.
func (g *group) note(record []byte) error {
	type message struct{ Data struct{ ID string } }
	var got struct {
		Arguments []message                            // of rte-server
		Push      struct{ Pub struct{ Data message } } // of Centrifugo
	}
	if err := json.Unmarshal(record, &got); err != nil {
		return fmt.Errorf("%w: %w: %.200s", errEvent, err, record)
	}
	for _, m := range append(got.Arguments, got.Push.Pub.Data) {
		if m.Data.ID != "" {
			g.seen[m.Data.ID]++
		}
	}
	return nil
}

// keepAlive sends what clients must send from time to time.
func (g *group) keepAlive(conns []*websocket.Conn) error {
	message := g.dialect.KeepAlive()
	if message == nil {
		return nil
	}
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, conn := range conns {
			if err := conn.Write(g.ctx, websocket.MessageText, message); err != nil && g.ctx.Err() == nil {
				return fmt.Errorf("keep alive: %w", err)
			}
		}
	}
}
