package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// rte is one node of rte-server with the in-process backplane. Events come over the operator port.
func rte() Peer {
	return Peer{
		Name: "rte", Kind: "rte", Title: "rte-server", Label: "rte-server", Form: event.Published,
		Prepare: func(s Setup) (Launch, error) {
			l, err := launchRTE(s)
			l.Connect = func(context.Context) (Publisher, error) {
				return &ndjsonPublisher{post: newPoster(s.Operator, "application/x-ndjson")}, nil
			}
			return l, err
		},
	}
}

// untracedKind is the kind of the peer that shows what recording costs.
const untracedKind = "untraced"

// untraced is rte-server that records no events: the difference to rte is the cost of recording.
func untraced() Peer {
	return Peer{
		Name: untracedKind, Kind: untracedKind, Title: "rte-server, `trace.entries: 0`", Form: event.Published,
		Prepare: func(s Setup) (Launch, error) {
			l, err := rte().Prepare(s)
			l.Args = append(l.Args, "--trace.entries", "0")
			return l, err
		},
	}
}

// rteRedis is one node of rte-server with Redis on the core of the load.
func rteRedis() Peer {
	return Peer{
		Name: "rte-redis", Kind: "rte", Title: "rte-server, through Redis", Label: "with Redis", Form: event.Published,
		Prepare: func(s Setup) (Launch, error) {
			l, err := launchRTE(s)
			l.Args = append(l.Args, "--redis.addresses", s.Broker.String())
			l.Broker = redisServer(s.Broker)
			l.Connect = func(ctx context.Context) (Publisher, error) { return dialRedis(ctx, s.Broker) }
			return l, err
		},
	}
}

// launchRTE starts rte-server with default settings except for addresses, keys, a stop without delay, and the bound of
// what slow clients have not read, which all clients of the load support.
func launchRTE(s Setup) (Launch, error) {
	path := filepath.Join(s.Dir, "directory.json")
	if err := writeDirectory(path, s.Topics); err != nil {
		return Launch{}, err
	}
	l := Launch{
		Path: filepath.Join(s.Binaries, "rte-server"),
		Args: []string{
			"serve",
			"--listen", s.Client.String(),
			"--console.listen", s.Operator.String(),
			"--directory.kind", "file",
			"--directory.file", path,
			"--log.level", "warn",
			"--limits.unread_bytes", "32KiB",
			"--shutdown.delay", "0s",
			"--shutdown.drain", "0s",
		},
		Env:     []string{"RTE_AUTH_HMAC_SECRET=" + secret},
		Profile: loopbackURL(s.Operator) + "/debug/pprof/profile",
		Ready:   []string{s.Client.String(), s.Operator.String()},
		Dialect: &hub{host: s.Client.String(), topics: s.Topics, token: func(c load.Identity) string {
			return signToken(map[string]any{
				"sub":  event.UserID(c.Organization, c.Index),
				"org":  event.OrganizationID(c.Organization),
				"role": "supervisor",
				"exp":  time.Now().Add(tokenLife).Unix(),
			})
		}},
	}
	if s.Deflate {
		l.Args = append(l.Args, "--compression.deflate")
	}
	return l, nil
}

// writeDirectory writes the directory of all entities. Topics may have the same entity.
func writeDirectory(path string, topics []event.Topic) error {
	type entity struct {
		ID           string `json:"id"`
		Kind         string `json:"kind"`
		Organization string `json:"organization"`
		Name         string `json:"name"`
	}
	entities := make([]entity, 0, len(topics))
	written := make(map[string]bool, len(topics))
	for i, t := range topics {
		if !written[t.Entity] {
			written[t.Entity] = true
			entities = append(entities, entity{t.Entity, t.Kind, t.Organization, fmt.Sprintf("entity %d", i)})
		}
	}
	data, err := json.Marshal(map[string]any{"entities": entities})
	if err != nil {
		return fmt.Errorf("encode directory: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write directory: %w", err)
	}
	return nil
}

// ndjsonPublisher publishes through the operator port of rte-server, one event per line.
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

// Close closes the connection.
func (p *ndjsonPublisher) Close() error { return p.post.close() }
