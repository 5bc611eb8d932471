package peer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rte-server/rte-server/bench/event"
)

// rte is rte-server, one node with the in-process backplane.
func rte() Peer {
	return Peer{
		Name: "rte", Kind: "rte", Title: "rte-server", Form: event.Published,
		Prepare: prepareRTE,
	}
}

// ndjsonPublisher publishes through the operator's port of rte-server, one event per line.
type ndjsonPublisher struct {
	post poster
	body []byte
}

// Publish sends one request.
func (p *ndjsonPublisher) Publish(ctx context.Context, events []Event) error {
	p.body = p.body[:0]
	for _, ev := range events {
		p.body = append(append(p.body, ev.Payload...), '\n')
	}
	answer, err := p.post.send(ctx, "/api/publish", p.body)
	if err != nil {
		return err
	}
	if bytes.Contains(answer, []byte(`"error"`)) {
		return fmt.Errorf("%w: %.200s", ErrPublish, answer)
	}
	return nil
}

// Close hangs up.
func (p *ndjsonPublisher) Close() error { return p.post.close() }

func prepareRTE(Setup) (Launch, error) { return Launch{}, fmt.Errorf("rte: %w", ErrPublish) }
