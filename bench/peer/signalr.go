package peer

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// recordSeparator ends every record of the SignalR JSON protocol.
const recordSeparator = 0x1e

// signalR is the stock SignalR library, with one group per topic.
func signalR() Peer {
	return Peer{
		Name: "signalr", Kind: "signalr", Title: "philippseith/signalr 0.11.0, groups", Label: "signalr library",
		Form: event.Message,
		Prepare: func(s Setup) (Launch, error) {
			return Launch{
				Path:    filepath.Join(s.Binaries, "signalr"),
				Args:    []string{"-listen", s.Client.String(), "-ingest", s.Operator.String()},
				Ready:   []string{s.Operator.String(), s.Client.String()},
				Dialect: &hub{host: s.Client.String(), topics: s.Topics},
				Connect: dialIngest(s.Operator),
			}, nil
		},
	}
}

// hub is the dialect of a SignalR hub with the method Subscribe, in JSON.
type hub struct {
	host   string
	topics []event.Topic
	token  func(load.Identity) string // nil: none
}

// subscribeBatch is the number of items of a Subscribe: 9 KB, well below the 32 KB that hubs accept.
const subscribeBatch = 100

var (
	keepAlive     = []byte("{\"type\":6}\x1e")
	handshake     = []byte("{\"protocol\":\"json\",\"version\":1}\x1e")
	handshakeDone = []byte("{}")
	subscribedOne = []byte(`"subscribed":true`)
)

func (h *hub) Upgrade(c load.Identity) []byte {
	path := "/rte"
	if h.token != nil {
		path += "?access_token=" + h.token(c)
	}
	return upgradeRequest(h.host, path)
}

func (h *hub) Hello(load.Identity) []byte { return handshake }

func (h *hub) Subscribe(topics []uint32) []byte {
	var b strings.Builder
	b.WriteString(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[`)
	for i, number := range topics {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"EntityId":%q,"EventName":%q}`, h.topics[number].Entity, h.topics[number].Type)
	}
	b.WriteString("]]}\x1e")
	return []byte(b.String())
}

func (h *hub) Batch() int        { return subscribeBatch }
func (h *hub) Separator() byte   { return recordSeparator }
func (h *hub) Pong() []byte      { return nil }
func (h *hub) KeepAlive() []byte { return keepAlive }

func (h *hub) Classify(record []byte) load.Record {
	switch {
	case bytes.Equal(record, handshakeDone):
		return load.Record{Kind: load.Welcome}
	case bytes.HasPrefix(record, []byte(`{"error"`)), bytes.Contains(record, []byte(`"type":7`)),
		bytes.Contains(record, []byte(`"subscribed":false`)):
		return load.Record{Kind: load.Refused}
	case bytes.Contains(record, []byte(`"type":3`)):
		n := bytes.Count(record, subscribedOne)
		if n == 0 {
			return load.Record{Kind: load.Refused}
		}
		return load.Record{Kind: load.Subscribed, Topics: n}
	default:
		return load.Record{}
	}
}

// upgradeRequest returns the request for a WebSocket. The key is the example of RFC 6455, section 1.3; the bench does
// not check the answer to it.
func upgradeRequest(host, path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}
