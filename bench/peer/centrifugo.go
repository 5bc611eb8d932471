package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// centrifugo is Centrifugo as its documentation installs it: memory engine, JSON protocol, default settings except for
// access.
func centrifugo() Peer {
	return Peer{
		Name: "centrifugo", Kind: "centrifugo", Title: "Centrifugo 6.9.1, memory engine", Label: "Centrifugo",
		Form: event.Message,
		Prepare: func(s Setup) (Launch, error) {
			client := map[string]any{"channel_limit": 100_000} // 128 by default; the presence scenario has 1,000
			config := map[string]any{
				"http_server": map[string]any{"address": s.Client.Addr().String(), "port": s.Client.Port()},
				"engine":      map[string]any{"type": "memory"},
				"http_api":    map[string]any{"insecure": true},
				"log":         map[string]any{"level": "error"},
				"client":      client,
			}
			d := &centrifuge{host: s.Client.String(), topics: s.Topics, auth: s.Auth}
			if s.Auth {
				client["token"] = map[string]any{"hmac_secret_key": secret}
				config["channel"] = map[string]any{
					"without_namespace": map[string]any{"allow_subscribe_for_client": true},
				}
			} else {
				client["insecure"] = true
			}
			if s.Deflate {
				config["websocket"] = map[string]any{"compression": true}
			}
			path := filepath.Join(s.Dir, "centrifugo.json")
			data, err := json.Marshal(config)
			if err != nil {
				return Launch{}, fmt.Errorf("encode configuration: %w", err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return Launch{}, fmt.Errorf("write configuration: %w", err)
			}
			return Launch{
				Path:    filepath.Join(s.Binaries, "centrifugo"),
				Args:    []string{"--config", path},
				Ready:   []string{s.Client.String()},
				Dialect: d,
				Connect: func(context.Context) (Publisher, error) {
					return &centrifugoPublisher{post: newPoster(s.Client, "application/json")}, nil
				},
			}, nil
		},
	}
}

// centrifuge is the dialect of Centrifugo's clients: JSON commands and replies, one per line.
type centrifuge struct {
	host   string
	topics []event.Topic
	auth   bool
}

func (d *centrifuge) Upgrade(load.Identity) []byte {
	return upgradeRequest(d.host, "/connection/websocket")
}

func (d *centrifuge) Hello(c load.Identity) []byte {
	if !d.auth {
		return []byte(`{"id":1,"connect":{}}`)
	}
	token := signToken(map[string]any{
		"sub": event.UserID(c.Organization, c.Index),
		"exp": time.Now().Add(tokenLife).Unix(),
	})
	return []byte(`{"id":1,"connect":{"token":"` + token + `"}}`)
}

func (d *centrifuge) Subscribe(topics []uint32) []byte {
	var b strings.Builder
	for i, number := range topics {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, `{"id":%d,"subscribe":{"channel":%q}}`, i+2, d.topics[number].Channel())
	}
	return []byte(b.String())
}

func (d *centrifuge) Batch() int        { return subscribeBatch }
func (d *centrifuge) Separator() byte   { return '\n' }
func (d *centrifuge) Pong() []byte      { return []byte("{}") }
func (d *centrifuge) KeepAlive() []byte { return nil }

func (d *centrifuge) Classify(record []byte) load.Record {
	switch {
	case bytes.Equal(record, []byte("{}")):
		return load.Record{Kind: load.Ping}
	case bytes.Contains(record, []byte(`"error":`)), bytes.Contains(record, []byte(`"disconnect":`)):
		return load.Record{Kind: load.Refused}
	case bytes.Contains(record, []byte(`"connect":{`)):
		return load.Record{Kind: load.Welcome}
	case bytes.Contains(record, []byte(`"subscribe":{`)):
		return load.Record{Kind: load.Subscribed, Topics: 1}
	default:
		return load.Record{}
	}
}

// centrifugoPublisher publishes through the HTTP API of the server.
type centrifugoPublisher struct {
	post poster
	body []byte
}

// Publish sends one request. Several events make a batch.
func (p *centrifugoPublisher) Publish(ctx context.Context, events []Event) error {
	b := p.body[:0]
	if len(events) == 1 {
		b = appendPublish(b, events[0])
	} else {
		b = append(b, `{"commands":[`...)
		for i, ev := range events {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"publish":`...)
			b = append(appendPublish(b, ev), '}')
		}
		b = append(b, `]}`...)
	}
	p.body = b
	path := "/api/publish"
	if len(events) > 1 {
		path = "/api/batch"
	}
	answer, err := p.post.send(ctx, path, b)
	if err != nil {
		return err
	}
	if bytes.Contains(answer, []byte(`"error"`)) {
		return fmt.Errorf("%w: %.200s", ErrPublish, answer)
	}
	return nil
}

func appendPublish(dst []byte, ev Event) []byte {
	dst = append(dst, `{"channel":"`...)
	dst = append(dst, ev.Topic.Channel()...)
	dst = append(dst, `","data":`...)
	dst = append(dst, ev.Payload...)
	return append(dst, '}')
}

// Close closes the connection.
func (p *centrifugoPublisher) Close() error { return p.post.close() }

// loopbackURL returns the URL of a server.
func loopbackURL(address netip.AddrPort) string { return "http://" + address.String() }
