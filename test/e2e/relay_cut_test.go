//go:build faults

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// relayed are clients on a host of their own whose requests reach another node than the owner of their connections.
type relayed struct {
	t     *testing.T
	http  *http.Client
	token string
}

// request makes a request and returns the answer, whose body is open.
func (r *relayed) request(method, url, body string, stream bool) (*http.Response, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	if stream {
		request.Header.Set("Accept", "text/event-stream")
	}
	return r.http.Do(request)
}

// do makes a request and returns its status and its body.
func (r *relayed) do(method, url, body string) (status int, text string) {
	r.t.Helper()
	response, err := r.request(method, url, body, false)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

// negotiate returns the query of a new connection.
func (r *relayed) negotiate(node *rtetest.Server) string {
	r.t.Helper()
	status, text := r.do(http.MethodPost, node.HubURL+"/negotiate?negotiateVersion=1&useStatefulReconnect=true", "")
	var answer struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		r.t.Fatalf("negotiate: %d %s", status, text)
	}
	return "?id=" + answer.ConnectionToken
}

// dial opens a WebSocket, sends the first message and reads the answer.
func (r *relayed) dial(node *rtetest.Server, query, first, want string) (*websocket.Conn, *http.Response) {
	r.t.Helper()
	ws, response, err := websocket.Dial(r.t.Context(), node.HubURL+query, &websocket.DialOptions{
		HTTPClient: r.http, HTTPHeader: http.Header{"Authorization": {"Bearer " + r.token}},
	})
	if err != nil {
		return nil, response
	}
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	r.write(ws, first)
	if _, data, err := ws.Read(r.t.Context()); err != nil || string(data) != want+"\x1e" {
		r.t.Fatalf("%q %v, want %s", data, err, want)
	}
	return ws, response
}

func (r *relayed) write(ws *websocket.Conn, message string) {
	r.t.Helper()
	if err := ws.Write(r.t.Context(), websocket.MessageText, []byte(message+"\x1e")); err != nil {
		r.t.Fatal(err)
	}
}

// The cable of a node is cut while another node passes on requests for its connections. Each request ends, the clients
// get 404 and make new connections, and neither node keeps anything of the old ones. A node needs 10 s to give up
// another one: make resume runs this test.
func TestRelay_ownerWithoutCable(t *testing.T) {
	const sockets = 3
	network := rtetest.MustMakeNetwork(t)
	redis := network.MustStartRedis()
	start := func() (*rtetest.Host, *rtetest.Server) {
		host := network.MustAddHost()
		return host, host.MustStartServer(programs.MustBuild(t, "node"), rtetest.Settings{
			"redis.addresses": redis.Addr, "relay.listen": host.IP + ":7070", "resume.window": "2s",
			"transports": "WebSockets,ServerSentEvents,LongPolling",
		})
	}
	cable, owner := start()
	_, entry := start()
	for _, node := range []*rtetest.Server{owner, entry} {
		node.WaitFor("the nodes to know each other", func() bool { return node.Metric("rte_node_peers") == 1 })
	}
	r := &relayed{t: t, token: mustTokenOfAgent(t, authz.RoleAgent), http: &http.Client{
		Transport: &http.Transport{DialContext: network.MustAddHost().Dial, DisableKeepAlives: true},
	}}

	var queries []string
	for range sockets {
		query := r.negotiate(owner)
		ws, _ := r.dial(owner, query, `{"protocol":"json","version":2}`, "{}")
		r.write(ws, `{"type":6}`)
		queries = append(queries, query)
	}
	owner.WaitFor("the other node to know the connections", func() bool {
		return owner.Metric("rte_transport_redemptions_total", `result="sent"`) == sockets &&
			owner.Metric("rte_transport_received_messages_total", `type="ping"`) == sockets
	})
	before := entry.Metric("go_goroutines")
	ended := make(chan string, sockets+2)
	for _, query := range queries {
		ws, _ := r.dial(entry, query, `{"type":9,"sequenceId":1}`, `{"type":9,"sequenceId":1}`)
		go func() {
			for err := error(nil); err == nil; {
				_, _, err = ws.Read(context.WithoutCancel(t.Context()))
			}
			ended <- "WebSocket"
		}()
	}
	poll := r.negotiate(owner)
	for _, step := range [][2]string{
		{http.MethodGet}, {http.MethodPost, `{"protocol":"json","version":1}` + "\x1e"}, {http.MethodGet},
	} {
		if status, text := r.do(step[0], entry.HubURL+poll, step[1]); status != http.StatusOK {
			t.Fatalf("LongPolling: %d %s", status, text)
		}
	}
	for name, query := range map[string]string{"ServerSentEvents": r.negotiate(owner), "LongPolling": poll} {
		go func() {
			response, err := r.request(http.MethodGet, entry.HubURL+query, "", name == "ServerSentEvents")
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			ended <- name
		}()
	}
	entry.WaitFor("all requests to be passed on", func() bool { return entry.Metric("rte_relay_passed") == sockets+2 })

	cable.Unplug()
	cut := time.Now()
	for range sockets + 2 {
		select {
		case name := <-ended:
			t.Logf("%s ended after %s", name, time.Since(cut))
		case <-time.After(rtetest.Patience):
			t.Fatal("a request does not end")
		}
	}
	for _, query := range queries {
		began := time.Now()
		if _, response := r.dial(entry, query, "", ""); response == nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("continue: %+v", response)
		}
		t.Logf("404 after %s", time.Since(began))
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if status, text := r.do(method, entry.HubURL+poll, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", method, status, text)
		}
	}
	r.dial(entry, r.negotiate(entry), `{"protocol":"json","version":2}`, "{}")
	entry.WaitFor("nothing to be left of the old connections", func() bool {
		return entry.Metric("rte_relay_passed") == 0 && entry.Metric("rte_relay_buffer_bytes") == 0 &&
			entry.Metric("go_goroutines") <= before+10 && entry.Metric("rte_hub_sessions_open") == 1
	})
	t.Logf("the other node is done after %s", time.Since(cut))
	owner.WaitFor("the owner to end its sessions", func() bool {
		return owner.Metric("rte_hub_sessions_open") == 0 && owner.Metric("rte_relay_node_connections") == 0
	})
	t.Logf("the owner is done after %s", time.Since(cut))
	cable.Plug()
}
