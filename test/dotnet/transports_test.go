package dotnet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

const (
	end         = "\x1e"
	handshake   = `{"protocol":"json","version":1}` + end
	packed      = `{"protocol":"messagepack","version":1}` + end
	eventStream = "Accept: text/event-stream"
)

// step is a request for a connection without a WebSocket.
type step struct {
	method  string
	as      string // the token: empty for the user of the connection, other, none or garbage
	query   string // in place of the id of the connection; empty: its id
	headers []string
	body    string
	waits   bool // the answer comes during later steps
}

// script is a list of requests for one connection.
type script struct {
	name  string
	steps []step
}

// scripts are the scripts of the comparison. The rows have the order of a client's life.
func scripts() []script {
	get, post := step{method: "GET"}, func(body string) step { return step{method: "POST", body: body} }
	poll := step{method: "GET", waits: true}
	stream := step{method: "GET", headers: []string{eventStream}, waits: true}
	del := step{method: "DELETE"}
	as := func(s step, as string) step {
		s.as = as
		return s
	}
	at := func(s step, query string) step {
		s.query = query
		return s
	}
	upgrade := step{method: "GET", headers: upgradeHeaders()}
	ping, closing, garbage := post(`{"type":6}`+end), post(`{"type":7}`+end), post("garbage"+end)
	call := post(`{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[]}` + end)
	put := step{method: "PUT"}
	return []script{
		{"long polling", []step{get, post(handshake), get, call, get, ping, closing, get, get, get, post(""), del}},
		{"long polling deleted", []step{get, post(handshake), get, poll, del, get, post(""), del}},
		{"long polling replaced", []step{get, post(handshake), get, poll, poll, call}},
		{"long polling without messages", []step{get, post(handshake), get, get}},
		{"long polling of messagepack", []step{
			get, post(packed), get, post("\x0f\x96\x01\x80\xa11\xa6NoSuch\x90\x90"), get,
		}},
		{"long polling of an unknown protocol", []step{
			get, post(`{"protocol":"x","version":1}` + end), get, get, get,
		}},
		{"long polling of garbage", []step{get, post(handshake), get, garbage, get, get, get}},
		{"long polling of others", []step{
			get, post(handshake), get, as(post(""), "other"), as(get, "other"), as(post(""), "none"), as(get, "garbage"),
			upgrade, stream, put, at(get, "x=y"), at(get, "id=unknown"), at(post(""), "id=unknown"), at(del, "id=unknown"),
			call, get,
		}},
		{"parts of messages", []step{get, post(handshake[:9]), post(handshake[9:] + `{"ty`), post(`pe":6}` + end), get}},
		{"nothing before the first GET", []step{post(handshake), del, get, post(handshake), get}},
		{"event stream", []step{stream, post(handshake), call, ping, closing}},
		{"event stream of garbage", []step{stream, post(handshake), garbage}},
		{"event stream of messagepack", []step{stream, post(packed)}},
		{"event stream of others", []step{
			stream, post(handshake), as(post(""), "other"), as(post(""), "none"), as(post(""), "garbage"), upgrade, get, del,
			{method: "GET", headers: []string{eventStream}},
			post(""), put, call, closing,
		}},
		{"event stream and more", []step{
			{method: "GET", headers: []string{eventStream + ", */*"}, waits: true},
			post(handshake + `{"type":6}` + end), closing,
		}},
	}
}

// peer is a server of the comparison.
type peer struct {
	host, path string
	tokens     map[string]string // by step.as
	id         string            // the connection token of the present script
}

// takenTime is how long a server may need to take a request with a later answer.
const takenTime = 300 * time.Millisecond

// negotiate negotiates a connection.
func (p *peer) negotiate() error {
	request, err := http.NewRequest(http.MethodPost, "http://"+p.host+p.path+"/negotiate?negotiateVersion=1", http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+p.tokens[""])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ ConnectionToken string }
	err = json.NewDecoder(response.Body).Decode(&answer)
	p.id = answer.ConnectionToken
	return err
}

// begin sends a step and returns the function that reads the answer.
func (p *peer) begin(s *step) (finish func() (outcome, error), err error) {
	conn, err := net.Dial("tcp", p.host)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(rtetest.Patience)) // an error makes the reads fail, too
	query := s.query
	if query == "" {
		query = "id=" + p.id
	}
	lines := []string{s.method + " " + p.path + "?" + query + " HTTP/1.1", "Host: " + p.host}
	if token := p.tokens[s.as]; token != "" {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	if s.method != http.MethodGet {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(s.body)))
	}
	lines = append(lines, s.headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+s.body); err != nil {
		conn.Close()
		return nil, err
	}
	head := make(chan *http.Response, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: s.method})
		if err != nil {
			response = nil
		}
		head <- response
	}()
	if s.waits { // until the server has taken the request
		time.Sleep(takenTime)
	}
	return func() (outcome, error) {
		defer conn.Close()
		response := <-head
		if response == nil {
			return outcome{"no answer"}, nil
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		o := outcome{fmt.Sprint(response.StatusCode)}
		for _, name := range []string{"Content-Type", "Cache-Control", "Pragma", "Expires", "Content-Encoding"} {
			o = append(o, response.Header.Get(name))
		}
		return append(o, messagesOf(string(body))), nil
	}, nil
}

// messagesOf returns the messages of an answer. They do not depend on the division of a stream into events.
func messagesOf(body string) string {
	rest, isStream := strings.CutPrefix(body, ":\r\n")
	if !isStream {
		return body
	}
	return strings.NewReplacer("data: ", "", "\r\n", "").Replace(rest)
}

// play plays a script and returns the answers.
func (p *peer) play(s *script) (outcomes []outcome, err error) {
	if err := p.negotiate(); err != nil {
		return nil, err
	}
	outcomes = make([]outcome, len(s.steps))
	finish := make([]func() (outcome, error), len(s.steps))
	for i := range s.steps {
		if finish[i], err = p.begin(&s.steps[i]); err != nil {
			return nil, err
		}
		if !s.steps[i].waits {
			if outcomes[i], err = finish[i](); err != nil {
				return nil, err
			}
		}
	}
	for i := range s.steps {
		if s.steps[i].waits {
			if outcomes[i], err = finish[i](); err != nil {
				return nil, err
			}
		}
	}
	return outcomes, nil
}

// TestDifferential_transports sends the same requests of ServerSentEvents and LongPolling to rte-server and to ASP.NET
// Core and compares the answers, headers included.
func TestDifferential_transports(t *testing.T) {
	dotnet := mustFindDotnet(t, "Reference")
	if dotnet == "" {
		return
	}
	node := rtetest.MustStartServer(t, programs.MustBuild(t), rtetest.Settings{
		"log.level": "error", "timeouts.hold": "1ms", "transports": "WebSockets,ServerSentEvents,LongPolling",
		"timeouts.poll": "2s", "auth.refresh": "false",
	})
	reference := rtetest.MustStartLines(t, exec.Command(
		dotnet, repository+"/build/dotnet/Reference/bin/Release/net10.0/Reference.dll",
		rtetest.Secret, rtetest.Issuer, rtetest.Audience, "--urls", "http://127.0.0.1:0",
	))
	tokens := map[string]string{
		"": rtetest.MustToken(t, authz.Claims{User: rtetest.MustID(t, entityID), Role: authz.RoleAgent}),
		"other": rtetest.MustToken(t, authz.Claims{
			User: rtetest.MustID(t, "bb9730c4-ce86-e611-80c9-00505689257e"), Role: authz.RoleAgent,
		}),
		"garbage": "x.y.z",
	}
	peers := []*peer{
		{host: node.Host, path: "/rte", tokens: tokens},
		{host: strings.TrimPrefix(reference.Next(), "http://"), path: "/all", tokens: tokens},
	}
	y := &tally{meant: map[string]int{}}
	for _, s := range scripts() {
		var answers [2][]outcome
		for i, p := range peers {
			var err error
			if answers[i], err = p.play(&s); err != nil {
				t.Fatalf("%s: %s: %v", s.name, p.host, err)
			}
		}
		for i := range s.steps {
			what := fmt.Sprintf("%s, step %d: %s %q", s.name, i+1, s.steps[i].method, s.steps[i].body)
			ours, theirs := answers[0][i], answers[1][i]
			if i > 0 {
				completeText(ours, theirs)
			}
			y.add(what, ours, theirs, reasonOfStep(&s, i, ours))
		}
	}
	y.report(t)
}

// completeText adds the text of a 404 to an answer of ASP.NET Core. It has none while the connection ends, which may
// take until after the next request.
func completeText(ours, theirs outcome) {
	const text = "No Connection with that ID"
	last := len(ours) - 1
	if ours[0] == "404" && theirs[0] == "404" && ours[last] == text && theirs[last] == "" {
		theirs[last] = text
	}
}

// reasonOfStep returns the name of the difference in package meant that an answer may have; empty if it is none.
func reasonOfStep(s *script, i int, ours outcome) string {
	switch first := &s.steps[0]; {
	case s.steps[i].as == "other" && ours[0] == "403":
		return "other users of a connection"
	case first.method == http.MethodPost && (i == 0 && ours[0] == "400" || i == len(s.steps)-1):
		return "POST before the first GET" // with the handshake twice
	case s.steps[i].waits && i+1 < len(s.steps) && s.steps[i+1].method == http.MethodDelete && ours[0] == "204":
		return "the poll that waits at a DELETE"
	}
	return ""
}
