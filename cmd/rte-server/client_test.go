package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// client is a client that shows every record of the server.
type client struct {
	t       *testing.T
	ws      *websocket.Conn
	records []string // received, and not returned by next yet
	ignored []string // targets of notices that next skips
}

// connect opens a connection and does the handshake. query is appended to the URL.
func (p *running) connect(token, query string) *client {
	p.t.Helper()
	c := p.dial(token, query)
	c.send(`{"protocol":"json","version":1}`)
	if got := c.next(); got != "{}" {
		p.t.Fatalf("handshake: %s", got)
	}
	return c
}

// dial opens a connection without a handshake.
func (p *running) dial(token, query string) *client {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.clients, "http")+"/rte"+query,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: p.t, ws: ws}
}

func (c *client) send(record string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(record+"\x1e")); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next record that is not a ping, or the text of an error.
func (c *client) next() string {
	for {
		for len(c.records) > 0 {
			record := c.records[0]
			c.records = c.records[1:]
			if record != `{"type":6}` && !c.ignores(record) {
				return record
			}
		}
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		_, data, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			return err.Error()
		}
		c.records = strings.Split(strings.TrimSuffix(string(data), "\x1e"), "\x1e")
	}
}

// ignores reports whether a record is a notice that the test does not want.
func (c *client) ignores(record string) bool {
	return slices.ContainsFunc(c.ignored, func(target string) bool {
		return strings.Contains(record, `"target":"`+target+`"`)
	})
}

// subscribe subscribes to an event of an entity and returns the answer.
func (c *client) subscribe(entity, event string) string {
	c.t.Helper()
	c.send(
		`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[{"EntityId":"` + entity + `","EventName":"` +
			event + `"}]]}`,
	)
	return c.next()
}

// expect fails the test unless the next record contains a text.
func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.next(); !strings.Contains(got, want) {
		c.t.Errorf("got %s, want %s", got, want)
	}
}

// post sends a body to the operator port.
func (p *running) post(path, body string) (status int, answer string) {
	p.t.Helper()
	return p.send(http.MethodPost, path, body)
}

// send sends a request with a body to the operator port.
func (p *running) send(method, path, body string) (status int, answer string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.operators+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(request)
}

// do sends a request and returns the answer.
func (p *running) do(request *http.Request) (status int, answer string) {
	p.t.Helper()
	httpClient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := httpClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// claimOf returns a claim of a token that is a text.
func claimOf(t *testing.T, token, name string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	text, _ := claims[name].(string)
	return text
}
