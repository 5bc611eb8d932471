package attacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// attacks returns all attacks.
func attacks() []attack {
	return []attack{
		{name: "answers nobody reads", run: (*stage).runUnreadAnswers},
		{name: "failures in a loop", run: (*stage).runFailures, check: (*stage).checkFailures},
		{name: "frames", run: func(s *stage) {
			s.flood("empty frames", strings.Repeat(string(appendFrame(nil, opText, "")), 4096), 4096, s.of(3e6, 20e3))
		}},
		{name: "WebSocket pings", run: func(s *stage) {
			s.flood("pings", strings.Repeat(string(appendFrame(nil, opPing, "x")), 1024), 1024, s.of(1e6, 20e3))
		}},
		{name: "calls", run: func(s *stage) {
			const call = `{"type":1,"invocationId":"1","target":"ActiveSubscriptions","arguments":[]}` + "\x1e"
			s.flood("calls", strings.Repeat(string(appendFrame(nil, opText, call)), 128), 128, s.of(200e3, 4e3))
		}},
		{
			name: "slow requests", run: (*stage).runSlowRequests,
			settings: rtetest.Settings{"console.token": operatorToken, "timeouts.read_header": "2s"},
		},
		{name: "requests without a token", run: (*stage).runWithoutToken},
	}
}

// invented returns a Subscribe of invented entities.
func invented(items int) string {
	var b strings.Builder
	b.WriteString(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[`)
	for i := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"EntityId":"%s","EventName":"UserStatus"}`, events.NewID())
	}
	b.WriteString("]]}")
	return b.String()
}

// runUnreadAnswers subscribes to many entities and requests large answers on connections of one agent, which read
// nothing.
func (s *stage) runUnreadAnswers() {
	connections, items := s.of(150, 10), s.of(2000, 300)
	token := rtetest.MustToken(s.t, authz.Claims{Organization: s.here, Role: authz.RoleAgent})
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c, err := dialHub(s.ctx, s.srv.Host, token, "")
			s.answerTo(err)
			if err != nil {
				return
			}
			defer c.conn.Close()
			s.send("connections", 1)
			for range 5 {
				if c.send(invented(items)) != nil {
					s.answer("closed", 1)
					return
				}
				s.send(fmt.Sprintf("Subscribe of %d", items), 1)
			}
			for range 3 {
				if c.send(`{"type":1,"invocationId":"2","target":"ActiveSubscriptions","arguments":[]}`) != nil {
					s.answer("closed", 1)
					return
				}
				s.send("ActiveSubscriptions", 1)
			}
			pause(s.ctx, time.Duration(s.of(8, 1))*time.Second)
		})
	}
	all.Wait()
}

// runFailures runs clients that cause the same failure again and again, as a stock client does that reconnects at once.
func (s *stage) runFailures() {
	client, done := s.newHTTPClient()
	defer done()
	const handshake = `{"protocol":"json","version":1}` + "\x1e"
	until := time.Now().Add(time.Duration(s.of(8, 1)) * time.Second)
	var all sync.WaitGroup
	for name, sends := range map[string]string{
		"too large":        handshake + `{"type":1,"arguments":["` + strings.Repeat("x", 300<<10) + "\"]}\x1e",
		"malformed":        handshake + "{]\x1e",
		"unknown protocol": `{"protocol":"other","version":1}` + "\x1e",
	} {
		token := rtetest.MustToken(s.t, authz.Claims{Organization: s.here, Role: authz.RoleAgent})
		all.Go(func() {
			for time.Now().Before(until) && s.ctx.Err() == nil {
				s.send(name, 1)
				if err := s.failOnce(client, token, sends); err != nil {
					s.answerTo(err)
					continue
				}
				s.answer("closed", 1)
			}
		})
	}
	all.Wait()
}

// failOnce negotiates, connects, sends something and waits for the end of the connection.
func (s *stage) failOnce(client *http.Client, token, sends string) error {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.srv.HubURL+"/negotiate?negotiateVersion=1", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return statusError(response.StatusCode)
	}
	var answer struct{ ConnectionToken string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	c, err := dial(s.ctx, s.srv.Host, token, "?id="+url.QueryEscape(answer.ConnectionToken))
	if err != nil {
		return err
	}
	defer c.conn.Close()
	_ = c.write(appendFrame(nil, opText, sends)) // the server may close the connection meanwhile
	c.drain()
	return nil
}

// checkFailures checks that the server slowed the loops down.
func (s *stage) checkFailures() {
	for name, n := range s.sent {
		if n > 40 {
			s.t.Errorf("the client that fails by %q connected %d times, want a hold before each", name, n)
		}
	}
}

// flood sends frames on one connection, as fast as the server reads them, and reads what it answers.
func (s *stage) flood(what, frames string, each, total int) {
	token := rtetest.MustToken(s.t, authz.Claims{Organization: s.here, Role: authz.RoleAgent})
	c, err := dialHub(s.ctx, s.srv.Host, token, "")
	s.answerTo(err)
	if err != nil {
		return
	}
	defer c.conn.Close()
	if err := c.conn.SetDeadline(time.Now().Add(time.Duration(s.of(16, 1)) * time.Second / 2)); err != nil {
		s.t.Error(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		n := 0
		buf := make([]byte, 64<<10)
		for {
			m, err := c.reader.Read(buf)
			n += m
			if err != nil {
				break
			}
		}
		s.answer("KiB", n>>10)
	})
	for n := 0; n < total; n += each {
		if err := c.write([]byte(frames)); err != nil {
			if errors.Is(err, net.ErrClosed) || !isTimeout(err) {
				s.answer("closed", 1)
			} else {
				s.answer("read slowly", 1)
			}
			break
		}
		s.send(what, each)
	}
	reading.Wait()
}

// isTimeout reports whether a deadline ended a write.
func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// operatorToken is the token of the operator port.
const operatorToken = "the token of operators in tests"

// runSlowRequests sends the headers and bodies of requests byte by byte to both ports, and wrong tokens to that of
// operators.
func (s *stage) runSlowRequests() {
	console := strings.TrimPrefix(s.srv.ConsoleURL, "http://")
	const body = "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
	var all sync.WaitGroup
	for _, request := range []struct{ name, host, text string }{
		{"headers to clients' port", s.srv.Host, "GET /rte HTTP/1.1\r\nHost: x\r\nX: "},
		{"bodies to clients' port", s.srv.Host, "POST /rte/negotiate HTTP/1.1\r\nHost: x\r\n" + body},
		{"headers to operators' port", console, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: "},
		{"bodies to operators' port", console, "POST /api/publish HTTP/1.1\r\nHost: x\r\n" + body},
	} {
		for range s.of(100, 10) {
			all.Go(func() { s.trickle(request.name, request.host, request.text) })
		}
	}
	client, done := s.newHTTPClient()
	defer done()
	for range 8 {
		all.Go(func() {
			for range s.of(20, 2) {
				s.send("wrong operator tokens", 1)
				s.request(client, http.MethodGet, s.srv.ConsoleURL+"/metrics", "wrong")
			}
		})
	}
	all.Wait()
}

// trickle sends the text of a request, then one byte after the other until the server closes the connection or the
// attack ends.
func (s *stage) trickle(name, host, text string) {
	var d net.Dialer
	conn, err := d.DialContext(s.ctx, "tcp", host)
	if err != nil {
		s.answer("refused connections", 1)
		return
	}
	defer conn.Close()
	s.send(name, 1)
	var sending sync.WaitGroup
	done := make(chan struct{})
	sending.Go(func() {
		_, err := io.WriteString(conn, text)
		for ; err == nil; _, err = io.WriteString(conn, "x") {
			select {
			case <-done:
				return
			case <-s.ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	_ = conn.SetReadDeadline(time.Now().Add(time.Duration(s.of(12, 3)) * time.Second)) // the connection is open
	answer, err := io.ReadAll(conn)
	close(done)
	sending.Wait()
	switch {
	case isTimeout(err) && len(answer) > 12:
		s.answer("HTTP "+string(answer[9:12])+" and open", 1)
	case isTimeout(err):
		s.answer(name+" open", 1)
	case len(answer) > 12:
		s.answer("HTTP "+string(answer[9:12]), 1)
	default:
		s.answer("closed", 1)
	}
}

// request sends a request and counts its status.
func (s *stage) request(client *http.Client, method, target, token string) {
	request, err := http.NewRequestWithContext(s.ctx, method, target, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		s.answerTo(err)
		return
	}
	_, _ = io.Copy(io.Discard, response.Body) // an incomplete body has a status too
	response.Body.Close()
	s.answer(fmt.Sprint("HTTP ", response.StatusCode), 1)
}

// runWithoutToken negotiates and upgrades without a token.
func (s *stage) runWithoutToken() {
	client, done := s.newHTTPClient()
	defer done()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := 0; n < s.of(5000, 50) && s.ctx.Err() == nil; n++ {
				s.send("negotiate", 1)
				s.request(client, http.MethodPost, s.srv.HubURL+"/negotiate?negotiateVersion=1", "")
			}
		})
		all.Go(func() {
			for n := 0; n < s.of(1000, 20) && s.ctx.Err() == nil; n++ {
				s.send("upgrade", 1)
				c, err := dial(s.ctx, s.srv.Host, "", "")
				s.answerTo(err)
				if err == nil {
					s.answer("HTTP 101", 1)
					c.conn.Close()
				}
			}
		})
	}
	all.Wait()
}
