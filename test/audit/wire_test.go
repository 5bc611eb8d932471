package audit

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// serverTimeout is the time after which a client without a message of the server gives its connection up, as those of
// Microsoft do.
const serverTimeout = 30 * time.Second

// wireClient is a client without a library: it sees the messages in the order of the wire.
type wireClient struct {
	*member
	url      string
	features string
	http     *http.Client
}

// newWireHTTP returns a client for WebSockets that accepts the certificates of tests and keeps no connections.
func newWireHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// run connects again and again until ctx ends or the server refuses a revoked token.
func (c *wireClient) run(ctx context.Context) {
	for pause := time.Duration(0); ctx.Err() == nil; pause = min(2*pause+100*time.Millisecond, 2*time.Second) {
		select {
		case <-time.After(rand.N(pause + 1)):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		if refused := c.once(ctx); refused && c.leaves {
			c.leave()
			return
		}
		if time.Since(began) > time.Second {
			pause = 0
		}
	}
}

// once connects, subscribes and reads until the end of the connection. It reports whether the server refuses the token.
func (c *wireClient) once(ctx context.Context) (refused bool) {
	token, expires := c.token()
	opening, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	ws, response, err := websocket.Dial(opening, c.url+"?features="+c.features+"&access_token="+token,
		&websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		return response != nil && response.StatusCode == http.StatusUnauthorized
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(8 << 20)
	s := socket{ws: ws}
	if s.send(opening, map[string]any{"protocol": "json", "version": 1}) != nil {
		return false
	}
	if _, _, err := ws.Read(opening); err != nil { // the answer of the handshake; the server sends nothing before a call
		return false
	}
	c.opened(expires)
	living, end := context.WithCancel(ctx)
	var calling sync.WaitGroup
	calling.Go(func() { c.makeCalls(living, &s) })
	c.closed(c.read(ctx, ws))
	end()
	calling.Wait()
	return false
}

// read takes what the server sends until the end of the connection.
func (c *wireClient) read(ctx context.Context, ws *websocket.Conn) (reason string) {
	for {
		reading, stop := context.WithTimeout(ctx, serverTimeout)
		_, data, err := ws.Read(reading)
		stop()
		if err != nil {
			return err.Error()
		}
		for record := range strings.SplitSeq(strings.TrimSuffix(string(data), "\x1e"), "\x1e") {
			var f struct {
				Type      int
				Target    string
				Arguments []json.RawMessage
				Result    json.RawMessage
			}
			if err := json.Unmarshal([]byte(record), &f); err != nil {
				return "unreadable: " + record
			}
			switch {
			case f.Type == 7:
				return record
			case f.Type == 3:
				c.answered(f.Result)
			case f.Type != 1 || len(f.Arguments) != 1:
			case f.Target == "MessageReceived":
				c.received(f.Arguments[0])
			default:
				c.noticed(f.Target, f.Arguments[0])
			}
		}
	}
}

// socket sends records. Its methods may be called from any goroutine.
type socket struct {
	ws *websocket.Conn
	mu sync.Mutex
}

func (s *socket) send(ctx context.Context, message map[string]any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ws.Write(ctx, websocket.MessageText, append(text, '\x1e'))
}

// makeCalls makes the calls of the client and keeps its connection alive until ctx ends.
func (c *wireClient) makeCalls(ctx context.Context, s *socket) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	pinged := time.Now()
	for ; ctx.Err() == nil; <-tick.C {
		switch made := c.nextCall(); {
		case made != nil:
			_ = s.send(ctx, map[string]any{ // the reader notices the end of the connection
				"type": 1, "invocationId": "1", "target": made.target, "arguments": made.arguments(),
			})
		case time.Since(pinged) > 10*time.Second:
			pinged = time.Now()
			_ = s.send(ctx, map[string]any{"type": 6})
		}
	}
}
