package peer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// natsKind is the kind of the NATS server.
const natsKind = "nats"

// nats is the NATS server with its WebSocket listener, one subject per topic. It does not know the users of the
// subscriptions and replaces no state by a newer one. The bench measures its core, which does not repeat lost events.
func nats() Peer {
	return Peer{
		Name: natsKind, Kind: natsKind, Title: "NATS server 2.15.3, WebSocket listener", Label: "NATS",
		Form: event.Message,
		Prepare: func(s Setup) (Launch, error) {
			path := filepath.Join(s.Dir, "nats.conf")
			config := fmt.Sprintf(
				"listen: %q\nlogtime: false\nmax_connections: 200000\nwebsocket { listen: %q, no_tls: true }\n",
				s.Operator, s.Client,
			)
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				return Launch{}, fmt.Errorf("write configuration: %w", err)
			}
			return Launch{
				Path:    filepath.Join(s.Binaries, natsKind),
				Args:    []string{"--config", path},
				Ready:   []string{s.Operator.String(), s.Client.String()},
				Dialect: &natsClient{host: s.Client.String(), topics: s.Topics},
				Connect: func(ctx context.Context) (Publisher, error) { return dialNATS(ctx, s.Operator.String()) },
			}, nil
		},
	}
}

// natsClient is the dialect of NATS clients: the text protocol of NATS in WebSocket messages. The server confirms each
// command of a verbose connection with +OK.
type natsClient struct {
	host   string
	topics []event.Topic
}

func (d *natsClient) Upgrade(load.Identity) []byte { return upgradeRequest(d.host, "/") }

func (d *natsClient) Hello(load.Identity) []byte {
	return []byte(`CONNECT {"verbose":true,"pedantic":false,"lang":"bench","version":"1","protocol":1}` + "\r\n")
}

func (d *natsClient) Subscribe(topics []uint32) []byte {
	var b []byte
	for _, number := range topics {
		b = append(b, "SUB "...)
		b = append(b, d.topics[number].Channel()...)
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(number)+1, 10)
		b = append(b, "\r\n"...)
	}
	return b
}

func (d *natsClient) Batch() int        { return subscribeBatch }
func (d *natsClient) Separator() byte   { return '\n' }
func (d *natsClient) Pong() []byte      { return []byte("PONG\r\n") }
func (d *natsClient) KeepAlive() []byte { return nil }

func (d *natsClient) Classify(record []byte) load.Record {
	switch record = bytes.TrimSuffix(record, []byte("\r")); {
	case bytes.Equal(record, []byte("+OK")):
		return load.Record{Kind: load.Welcome, Topics: 1}
	case bytes.Equal(record, []byte("PING")):
		return load.Record{Kind: load.Ping}
	case bytes.HasPrefix(record, []byte("-ERR")):
		return load.Record{Kind: load.Refused}
	default:
		return load.Record{}
	}
}

// natsPublisher publishes by the protocol of NATS. The PONG after the events confirms them.
type natsPublisher struct {
	conn   net.Conn
	in     *bufio.Reader
	buffer []byte
}

func dialNATS(ctx context.Context, address string) (Publisher, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect publisher: %w", err)
	}
	p := &natsPublisher{conn: conn, in: bufio.NewReader(conn)}
	p.buffer = append(p.buffer, `CONNECT {"verbose":false}`+"\r\n"...)
	return p, nil
}

// Publish sends the events and waits for the PONG.
func (p *natsPublisher) Publish(ctx context.Context, events []Event) error {
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	b := p.buffer // the CONNECT before the first events
	for _, ev := range events {
		b = append(b, "PUB "...)
		b = append(b, ev.Topic.Channel()...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(ev.Payload)), 10)
		b = append(b, "\r\n"...)
		b = append(b, ev.Payload...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "PING\r\n"...)
	p.buffer = b[:0]
	if _, err := p.conn.Write(b); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	for {
		line, err := p.in.ReadSlice('\n')
		switch {
		case err != nil:
			return fmt.Errorf("wait for the answer to events: %w", err)
		case bytes.HasPrefix(line, []byte("PONG")):
			return nil
		case bytes.HasPrefix(line, []byte("PING")):
			p.buffer = append(p.buffer, "PONG\r\n"...) // with the next events
		case bytes.HasPrefix(line, []byte("-ERR")):
			return fmt.Errorf("%w: %.200s", ErrPublish, line)
		}
	}
}

// Close closes the connection.
func (p *natsPublisher) Close() error { return p.conn.Close() }
