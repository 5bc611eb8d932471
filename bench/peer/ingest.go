package peer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/rte-server/rte-server/bench/ingest"
)

// ingestPublisher publishes by the protocol of package ingest.
type ingestPublisher struct {
	conn   net.Conn
	events []ingest.Event
	buffer []byte
}

// dialIngest returns a Launch.Connect for an address.
func dialIngest(address netip.AddrPort) func(context.Context) (Publisher, error) {
	return func(ctx context.Context) (Publisher, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address.String())
		if err != nil {
			return nil, fmt.Errorf("connect publisher: %w", err)
		}
		return &ingestPublisher{conn: conn}, nil
	}
}

// Publish sends one batch and waits for its answer.
func (p *ingestPublisher) Publish(ctx context.Context, events []Event) error {
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	p.events = p.events[:0]
	for _, ev := range events {
		p.events = append(p.events, ingest.Event{Channel: []byte(ev.Topic.Channel()), Payload: ev.Payload})
	}
	p.buffer = ingest.Append(p.buffer[:0], p.events)
	if _, err := p.conn.Write(p.buffer); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	if _, err := io.ReadFull(p.conn, p.buffer[:1]); err != nil {
		return fmt.Errorf("wait for the answer to events: %w", err)
	}
	return nil
}

// Close closes the connection.
func (p *ingestPublisher) Close() error { return p.conn.Close() }
