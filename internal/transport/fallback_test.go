package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// withFallbacks adds the transports beside WebSockets.
func withFallbacks(s *setup) {
	s.Transports = transports.Set{true, true, true}
}

const (
	welcome      = "{}" + separator
	jsonRequest  = `{"protocol":"json","version":1}` + separator
	acceptStream = "Accept: text/event-stream"
	noConnection = "No Connection with that ID"
	changed      = "Cannot change transports mid-connection"
	otherUser    = "The user associated with this connection changed."
)

// answered is an answer to a request.
type answered struct {
	*http.Response
	body string
}

// fetch makes a request with a body, on a connection of its own.
func (s *server) fetch(method, target, token, body string, headers ...string) answered {
	s.t.Helper()
	a, err := s.tryFetch(context.Background(), method, target, token, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// tryFetch is fetch for a request that may fail.
func (s *server) tryFetch(
	ctx context.Context, method, target, token, body string, headers ...string,
) (answered, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+target, strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return answered{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answered{response, string(text)}, err
}

// expect compares the status and the body.
func (a answered) expect(t *testing.T, status int, body string) {
	t.Helper()
	if a.StatusCode != status || a.body != body {
		t.Errorf("%s %q, want %d %q", a.Status, a.body, status, body)
	}
}

// poll begins a request of LongPolling, and returns when the server waits with it.
func (s *server) poll(target string) <-chan answered {
	s.t.Helper()
	return s.pollAs(target, "alice")
}

func (s *server) pollAs(target, token string) <-chan answered {
	s.t.Helper()
	before := s.polls()
	answers := make(chan answered, 1)
	go func() {
		a, err := s.tryFetch(context.Background(), http.MethodGet, target, token, "")
		if err == nil {
			answers <- a
		}
		close(answers)
	}()
	s.eventually("the poll waits, or has its answer", func() bool { return len(answers) > 0 || s.polls() > before })
	return answers
}

// polls returns how many polls wait or have waited.
func (s *server) polls() (n float64) {
	n = s.count("rte_transport_polls_waiting")
	for _, outcome := range []string{"messages", "late", "replaced", "over", "gone"} {
		n += s.count("rte_transport_polls_total", "outcome", outcome)
	}
	return n
}

// longPolling opens a connection of LongPolling and completes the handshake.
func (s *server) longPolling(protocol string) (target string) {
	s.t.Helper()
	target = "/rte?id=" + s.negotiate("alice").ConnectionToken
	s.fetch(http.MethodGet, target, "alice", "").expect(s.t, 200, "")
	s.fetch(http.MethodPost, target, "alice", `{"protocol":"`+protocol+`","version":1}`+separator).expect(s.t, 200, "")
	s.fetch(http.MethodGet, target, "alice", "").expect(s.t, 200, welcome)
	return target
}

// stream is the answer to a GET of ServerSentEvents.
type stream struct {
	t *testing.T
	*http.Response
	wire   *wire
	in     *bufio.Reader
	target string
}

// events opens a connection of ServerSentEvents. token is in the query, as browsers have it.
func (s *server) events() *stream {
	s.t.Helper()
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	w := s.connect()
	w.write([]byte("GET " + target + "&access_token=alice HTTP/1.1\r\nHost: rte\r\n" + acceptStream + "\r\n\r\n"))
	response, err := http.ReadResponse(w.in, &http.Request{Method: http.MethodGet})
	if err != nil {
		s.t.Fatal(err)
	}
	e := &stream{s.t, response, w, bufio.NewReader(response.Body), target}
	if line := e.line(); line != ":\r\n" {
		s.t.Fatalf("the stream begins with %q", line)
	}
	s.t.Cleanup(func() { w.Close() })
	return e
}

func (e *stream) line() string {
	e.t.Helper()
	line, err := e.in.ReadString('\n')
	if err != nil {
		e.t.Fatalf("%q %v", line, err)
	}
	return line
}

// next reads an event.
func (e *stream) next() string {
	e.t.Helper()
	data, ok := strings.CutPrefix(e.line(), "data: ")
	if end := e.line(); !ok || end != "\r\n" {
		e.t.Fatalf("no event: %q", data)
	}
	return strings.TrimSuffix(data, "\r\n")
}

// end waits for the end of the stream.
func (e *stream) end() {
	e.t.Helper()
	if rest, err := io.ReadAll(e.in); err != nil || len(rest) > 0 {
		e.t.Errorf("%q %v, want the end of the stream", rest, err)
	}
}

// streaming opens a connection of ServerSentEvents and completes the handshake.
func (s *server) streaming() *stream {
	s.t.Helper()
	e := s.events()
	s.fetch(http.MethodPost, e.target, "alice", jsonRequest).expect(s.t, 200, "")
	if got := e.next(); got != welcome {
		s.t.Fatalf("handshake: %q", got)
	}
	return e
}

// The list of transports has the order of ASP.NET Core.
func TestNegotiate_listsTransports(t *testing.T) {
	for want, set := range map[string]transports.Set{
		`[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]`: {},
		`[{"transport":"WebSockets","transferFormats":["Text","Binary"]},` +
			`{"transport":"ServerSentEvents","transferFormats":["Text"]},` +
			`{"transport":"LongPolling","transferFormats":["Text","Binary"]}]`: {true, true, true},
		`[{"transport":"LongPolling","transferFormats":["Text","Binary"]}]`: {transports.LongPolling: true},
	} {
		s := startServer(t, func(s *setup) { s.Transports = set })
		_, body := s.do(http.MethodPost, "/rte/negotiate?negotiateVersion=1", "alice")
		var answer struct{ AvailableTransports json.RawMessage }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || string(answer.AvailableTransports) != want {
			t.Errorf("%s %v, want %s", body, err, want)
		}
	}
}

// The rows of section 3 of ASP.NET Core's answers.
func TestServerSentEvents(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	s.fetch(http.MethodPost, target, "alice", jsonRequest).expect(t, 400, "") // before the GET

	e := s.events()
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-cache,no-store", "Pragma": "no-cache",
		"Content-Encoding": "identity", "X-Accel-Buffering": "no",
	} {
		if got := e.Header.Get(name); e.StatusCode != 200 || got != want {
			t.Errorf("%s: %s %q, want %q", e.Status, name, got, want)
		}
	}
	s.fetch(http.MethodPost, e.target, "alice", jsonRequest[:10]).expect(t, 200, "")
	s.fetch(http.MethodPost, e.target, "alice", "").expect(t, 200, "")
	post := s.fetch(http.MethodPost, e.target, "alice", jsonRequest[10:]+`{"type":6}`+separator)
	if post.expect(t, 200, ""); post.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("POST: %v", post.Header)
	}
	if got := e.next(); got != welcome {
		t.Fatalf("handshake: %q", got)
	}
	s.fetch(http.MethodPost, e.target, "alice", `{"type":1,"invocationId":"7","target":"UnsubscribeAll","arguments":[]}`+
		separator+`{"type":1,"invocationId":"8","target":"ActiveSubscriptions","arguments":[]}`+separator)
	for _, want := range []string{
		`{"type":3,"invocationId":"7","result":true}`, `{"type":3,"invocationId":"8","result":[]}`,
	} {
		if got := e.next(); got != want+separator {
			t.Errorf("%q, want %q", got, want)
		}
	}

	s.fetch(http.MethodGet, e.target, "alice", "", acceptStream).expect(t, 409, "")
	s.fetch(http.MethodGet, e.target, "alice", "").expect(t, 400, changed)
	if response, body := s.connect().upgrade(e.target, "alice"); response.StatusCode != 400 || body != changed {
		t.Errorf("upgrade: %s %q", response.Status, body)
	}
	s.fetch(http.MethodDelete, e.target, "alice", "").
		expect(t, 400, "Cannot terminate this connection using the DELETE endpoint.")
	s.fetch(http.MethodPost, e.target, "bob", "").expect(t, 403, otherUser)
	s.fetch(http.MethodPost, e.target, "garbage", "").expect(t, 401, "")
	s.fetch(http.MethodPost, e.target, "", "").expect(t, 401, "")
	s.fetch(http.MethodPost, e.target, "alice again", `{"type":6}`+separator).expect(t, 200, "")

	s.fetch(http.MethodPost, e.target, "alice", "garbage"+separator).expect(t, 200, "")
	if got := e.next(); got != `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`+separator {
		t.Errorf("Close message: %q", got)
	}
	e.end()
	s.eventually("the connection is gone", func() bool {
		return s.fetch(http.MethodPost, e.target, "alice", "").StatusCode == http.StatusNotFound
	})
	s.fetch(http.MethodGet, e.target, "alice", "", acceptStream).expect(t, 404, noConnection)
}

func TestServerSentEvents_Accept(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	w := s.connect()
	w.write([]byte("GET " + target + " HTTP/1.1\r\nHost: rte\r\nAuthorization: Bearer alice\r\n" +
		acceptStream + ", */*\r\n\r\n"))
	response, err := http.ReadResponse(w.in, nil)
	if err != nil || response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v %v", response, err)
	}
	w.Close()
}

// A client that drops the GET is gone.
func TestServerSentEvents_dropped(t *testing.T) {
	s := startServer(t, withFallbacks)
	e := s.streaming()
	if n := s.count("signalr_server_active_connections", "signalr_transport", "server_sent_events"); n != 1 {
		t.Errorf("%v active connections, want 1", n)
	}
	e.wire.Close()
	s.eventually("the connection is gone", func() bool { return s.Connections() == 0 })
	s.fetch(http.MethodPost, e.target, "alice", "").expect(t, 404, noConnection)
}

func TestServerSentEvents_refusesMessagePack(t *testing.T) {
	s := startServer(t, withFallbacks)
	e := s.events()
	s.fetch(http.MethodPost, e.target, "alice", `{"protocol":"messagepack","version":1}`+separator).expect(t, 200, "")
	want := `{"error":"Cannot use the 'messagepack' protocol on the current transport. ` +
		`The transport does not support 'Binary' transfer format."}` + separator
	if got := e.next(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	e.end()
}

// Events arrive in the form of an event stream, and pings.
func TestServerSentEvents_receivesEvents(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.Timeouts.KeepAlive = 50 * time.Millisecond })
	e := s.streaming()
	s.fetch(http.MethodPost, e.target, "alice", subscribeAlice)
	pinged, received := false, 0
	for !pinged || received < 3 {
		switch got := e.next(); {
		case strings.HasPrefix(got, `{"type":3,"invocationId":"1"`):
			for range 3 {
				s.status()
			}
		case got == `{"type":6}`+separator:
			pinged = true
		default:
			received += strings.Count(got, `"target":"MessageReceived"`)
		}
	}
}

// subscribeAlice subscribes to the status of alice.
var subscribeAlice = `{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[{"EntityId":"` +
	bearers["alice"].User.String() + `","EventName":"UserStatus"}]]}` + separator

// The rows of section 4 of ASP.NET Core's answers.
func TestLongPolling(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := "/rte?id=" + s.negotiate("alice").ConnectionToken
	s.fetch(http.MethodPost, target, "alice", jsonRequest).expect(t, 400, "") // before the GET

	first := s.fetch(http.MethodGet, target+"&_=1700000000000", "alice", "")
	first.expect(t, 200, "")
	expectNotCached(t, first, "application/octet-stream")
	poll := s.poll(target)
	post := s.fetch(http.MethodPost, target, "alice", jsonRequest)
	if post.expect(t, 200, ""); post.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("POST: %v", post.Header)
	}
	answer := <-poll
	answer.expect(t, 200, welcome)
	expectNotCached(t, answer, "application/octet-stream")

	older := s.poll(target)
	younger := s.poll(target)
	(<-older).expect(t, 204, "")
	s.fetch(http.MethodPost, target, "alice", subscribeAlice).expect(t, 200, "")
	if got := (<-younger).body; !strings.HasPrefix(got, `{"type":3,"invocationId":"1","result":[{"subscribed":true`) {
		t.Errorf("Subscribe: %q", got)
	}
	for range 3 {
		s.status() // no poll waits
	}
	for n := 0; n < 3; {
		n += strings.Count(s.fetch(http.MethodGet, target, "alice", "").body, `"target":"MessageReceived"`)
	}

	s.fetch(http.MethodPost, target, "bob", "").expect(t, 403, otherUser)
	s.fetch(http.MethodPost, target, "carol", "").expect(t, 403, otherUser)
	s.fetch(http.MethodGet, target, "bob", "").expect(t, 403, otherUser)
	s.fetch(http.MethodGet, target, "", "").expect(t, 401, "")
	s.fetch(http.MethodGet, target, "garbage", "").expect(t, 401, "")
	s.fetch(http.MethodPut, target, "alice", "").expect(t, 405, "")
	s.fetch(http.MethodGet, target, "alice", "", acceptStream).expect(t, 400, changed)
	if response, body := s.connect().upgrade(target, "alice"); response.StatusCode != 400 || body != changed {
		t.Errorf("upgrade: %s %q", response.Status, body)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		s.fetch(method, "/rte", "alice", "").expect(t, 400, "Connection ID required")
		s.fetch(method, "/rte?id=unknown", "alice", "").expect(t, 404, noConnection)
	}

	poll = s.pollAs(target, "alice again")
	deleted := s.fetch(http.MethodDelete, target, "alice", "")
	deleted.expect(t, 202, "")
	if deleted.ContentLength != 0 || deleted.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("DELETE: %v", deleted.Header)
	}
	(<-poll).expect(t, 204, "")
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		s.fetch(method, target, "alice", "").expect(t, 404, noConnection)
	}
	s.eventually("the connection is gone", func() bool { return s.Connections() == 0 })
}

// expectNotCached checks the headers of an answer to a poll.
func expectNotCached(t *testing.T, a answered, kind string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": kind, "Cache-Control": "no-cache, no-store", "Pragma": "no-cache",
		"Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
}

func TestLongPolling_otherUserWhereTokensAreRefreshed(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.Refresh.Enabled = true })
	target := s.longPolling("json")
	answer := s.fetch(http.MethodGet, target, "bob", "")
	answer.expect(t, 409, `{"error":"authentication_refresh_required"}`)
	if kind := answer.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q", kind)
	}
	s.fetch(http.MethodPost, target, "bob", "").expect(t, 403, otherUser)
}

func TestLongPolling_pollEndsInTime(t *testing.T) {
	s := startServer(t, withFallbacks, func(s *setup) { s.Timeouts.Poll = 20 * time.Millisecond })
	target := s.longPolling("json")
	answer := s.fetch(http.MethodGet, target, "alice", "")
	answer.expect(t, 200, "")
	expectNotCached(t, answer, "text/plain")
	if n := s.count("rte_transport_polls_total", "outcome", "late"); n != 1 {
		t.Errorf("%v late polls, want 1", n)
	}
}

func TestLongPolling_messagePack(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := s.longPolling("messagepack")
	call := "\x96\x01\x80\xa11\xaeUnsubscribeAll\x90\x90"
	s.fetch(http.MethodPost, target, "alice", string(rune(len(call)))+call).expect(t, 200, "")
	answer := s.fetch(http.MethodGet, target, "alice", "")
	answer.expect(t, 200, "\x07\x95\x03\x80\xa11\x03\xc3")
	expectNotCached(t, answer, "application/octet-stream")
}

// A Close message of the client is answered by one. Then a poll is over, and then the connection is unknown.
func TestLongPolling_closedByTheClient(t *testing.T) {
	s := startServer(t, withFallbacks)
	target := s.longPolling("json")
	s.fetch(http.MethodPost, target, "alice", `{"type":7}`+separator).expect(t, 200, "")
	s.fetch(http.MethodGet, target, "alice", "").expect(t, 200, `{"type":7}`+separator)
	s.fetch(http.MethodGet, target, "alice", "").expect(t, 204, "")
	s.fetch(http.MethodGet, target, "alice", "").expect(t, 404, noConnection)
	s.fetch(http.MethodPost, target, "alice", "").expect(t, 404, noConnection)
}

// A client that does not poll again counts as gone, even if it posts.
func TestLongPolling_missingPoll(t *testing.T) {
	ends := make(chan transport.End, 1)
	s := startServer(t, withFallbacks, func(s *setup) {
		s.Timeouts.Disconnect, s.Timeouts.Poll = 300*time.Millisecond, 500*time.Millisecond
		s.Ended = func(e transport.End) { ends <- e }
	})
	target := s.longPolling("json")
	s.fetch(http.MethodGet, target, "alice", "").expect(t, 200, "") // waits for longer than the client may
	s.eventually("the connection is gone", func() bool {
		return s.fetch(http.MethodPost, target, "alice", `{"type":6}`+separator).StatusCode == http.StatusNotFound
	})
	end := <-ends
	if end.Reason.String() != "silent" || end.Detail != "no_poll" || end.Transport != transports.LongPolling {
		t.Errorf("ended: %+v", end)
	}
	if n := s.count("rte_transport_polls_total", "outcome", "missing"); n != 1 {
		t.Errorf("%v missing polls, want 1", n)
	}
	if n := s.count("signalr_server_connection_duration_seconds", "signalr_transport", "long_polling",
		"signalr_connection_status", "timeout"); n != 1 {
		t.Errorf("%v timeouts, want 1", n)
	}
}
