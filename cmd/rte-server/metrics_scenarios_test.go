package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// provokeTokens sends every kind of faulty token.
func provokeTokens(t *testing.T) {
	keySet := mustKeySet(t)
	keys := startHTTP(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, keySet) })
	p := start(t, serveArgs("--auth.issuer="+rtetest.Issuer, "--auth.audience="+rtetest.Audience,
		"--auth.jwks_url="+keys+",https://away.test http://"+rtetest.MustFreeAddr(t)+"/keys")...)
	now := time.Now()
	payload := func(change map[string]any) string {
		claims := map[string]any{
			"sub": testUser, "org": testOrganization, "iss": rtetest.Issuer, "aud": rtetest.Audience,
			"exp": now.Add(time.Hour).Unix(),
		}
		maps.Copy(claims, change)
		text, _ := json.Marshal(claims)
		return string(text)
	}
	signed := func(header string, change map[string]any) string {
		return rtetest.MustSign(t, []byte(rtetest.Secret), header, payload(change))
	}
	const hs256 = `{"alg":"HS256"}`
	for _, bearer := range []string{
		"", "a.b.c", strings.Repeat("a", 20_000), rtetest.MustSign(t, nil, `{"alg":"none"}`, payload(nil)),
		rtetest.MustSign(t, []byte("another secret"), hs256, payload(nil)),
		signed(`{"alg":"ES256","kid":"another"}`, nil), signed(`{"alg":"HS256","crit":["b64"],"b64":false}`, nil),
		signed(hs256, map[string]any{"exp": 1}), signed(hs256, map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		signed(hs256, map[string]any{"iss": "https://other.test"}), signed(hs256, map[string]any{"aud": "other"}),
		signed(hs256, map[string]any{"sub": 7}), signed(`{"alg":"ES256"}`, map[string]any{"iss": "https://away.test"}),
		rtetest.MustToken(t, authz.Claims{}), rtetest.MustToken(t, authz.Claims{}),
	} {
		var header []string
		if bearer != "" {
			header = []string{"Authorization", "Bearer " + bearer}
		}
		fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", header...)
	}
}

// provokeEvents publishes every sample, and every kind of faulty message, over Redis and over HTTP.
func provokeEvents(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--events.validation=all", "--events.quarantine=2",
		"--snapshots.mode=always", "--trace.entries=10", "--events.max_bytes=65536")...)
	dropping := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	defer dropping.stop()
	passing := start(t, serveArgs("--redis.addresses="+redis.Addr, "--events.unknown=pass")...)
	defer passing.stop()
	for _, node := range []*running{p, dropping, passing} {
		node.connect(mustServiceToken(t, testOrganization), "").subscribe(testUser, "UserAlert")
	}
	samples, err := filepath.Glob("../../testdata/events/[A-Z]*.json")
	if err != nil || len(samples) == 0 {
		t.Fatal("no samples")
	}
	for _, sample := range samples {
		p.post("/api/publish", mustLine(t, sample))
	}
	for _, change := range [][2]string{
		{"", ""},
		{`"UserAlert"`, `"Unknown"`},
		{`"EntityType":"User"`, `"EntityType":"Queue"`},
		{testUser, "none"},
		{`"OrganizationId":"` + testOrganization + `",`, ""},
		{`,"EventType":"UserAlert"`, ""},
		{`"EventType":"UserAlert"`, `"EventType":"UserAlert","EventType":"UserAlert"`},
		{testJSON, "[]"},
		{testJSON, "{"},
		{`"EventType"`, `"Value":"` + "\xff" + `","EventType"`},
		{testJSON, `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "}"},
		{`"EventType"`, `"Padding":"` + strings.Repeat("x", 70_000) + `","EventType"`},
		{testOrganization, "39f6e823-b484-e611-80c9-00505689257e"},
		{`"EventType"`, `"Timestamp":7,"EventType"`},
		{`"EventType"`, `"Timestamp":"yesterday","EventType"`},
		{`"EventType"`, `"Timestamp":"2090-01-01T00:00:00Z","EventType"`},
		{`"EventType"`, `"Timestamp":"2001-01-01T00:00:00Z","MessageTTLSeconds":1,"EventType"`},
	} {
		text := strings.Replace(testJSON, change[0], change[1], 1)
		redisCLI(t, redis, text, "-x", "PUBLISH", testLane)
		redisCLI(t, redis, text, "-x", "PUBLISH", "rte:org:39f6e823-b484-e611-80c9-00505689257e")
		p.post("/api/publish", text)
	}
	redisCLI(t, redis, "!rte 9 9-9 x"+testJSON, "-x", "PUBLISH", testLane)
	numbered := strings.Replace(testJSON, `"EventType"`, `"Id":"`+testUser+`","EventType"`, 1)
	for range 2 {
		redisCLI(t, redis, numbered, "-x", "PUBLISH", testLane)
	}
	for _, channel := range []string{
		"revoke", "directory", "disconnect", "refresh", "tokens", "nodes", "query", "answer:" + p.node(),
	} {
		redisCLI(t, redis, "{ no message", "-x", "PUBLISH", "rte:c:"+channel)
	}
	redisCLI(t, redis, "", "ZADD", "rte:c:revoked", "9999999999", "no revocation")
	p.post("/api/revocations", `{"user":"`+testUser+`"}`)
	eventually(t, "the malformed messages", func() bool {
		return p.metric(`rte_control_messages_total{kind="query",result="malformed"}`) != "0"
	})
}

// node returns the name of the node.
func (p *running) node() string {
	p.t.Helper()
	_, answer := fetch(p.t, http.MethodGet, p.operators+"/api/nodes")
	var nodes struct {
		Node string `json:"node"`
	}
	_ = json.Unmarshal([]byte(answer), &nodes) // an empty name makes the test fail
	return nodes.Node
}

// provokeRequests sends every kind of faulty request to the port for clients, and to the operator port.
func provokeRequests(t *testing.T) {
	p := start(t, serveArgs("--transports=WebSockets", "--console.token=operator", "--console.read_token=reader",
		"--console.publish_token=publisher", "--quotas.user_connections=1", "--tap.max=1")...)
	bearer := "Bearer " + mustServiceToken(t, testOrganization)
	upgrade := []string{
		"Authorization", bearer, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
	}
	hub := p.clients + "/rte"
	for _, r := range []struct {
		method, url string
		header      []string
	}{
		{"POST", hub + "/negotiate?access_token=a", []string{"Authorization", bearer}},
		{"GET", hub + "/negotiate", []string{"Authorization", bearer}},
		{"POST", hub + "/negotiate?negotiateVersion=x", []string{"Authorization", bearer}},
		{"POST", hub + "/negotiate?negotiateVersion=0", []string{"Authorization", bearer}},
		{"PUT", hub, []string{"Authorization", bearer}},
		{"GET", hub, []string{"Authorization", bearer}},
		{"GET", hub + "?id=unknown", upgrade},
		{"GET", hub + "?id=unknown", []string{"Authorization", bearer}},
		{"POST", hub + "?id=unknown", []string{"Authorization", bearer}},
		{"DELETE", hub + "?id=unknown", []string{"Authorization", bearer}},
		{"GET", hub + "?id=unknown", []string{"Authorization", bearer, "Accept", "text/event-stream"}},
		{"GET", hub, append(slices.Clip(upgrade), "Sec-WebSocket-Version", "7")},
		{"GET", hub, append(slices.Clip(upgrade), "Sec-WebSocket-Key", "short")},
		{"POST", hub + "/refresh", []string{"Authorization", bearer}},
		{"GET", p.operators + "/metrics", nil},
		{"GET", p.operators + "/metrics", []string{"Authorization", "Bearer wrong"}},
		{"POST", p.operators + "/api/drain", []string{"Authorization", "Bearer reader"}},
	} {
		fetch(t, r.method, r.url, r.header...)
	}
	p.raw("POST /rte/negotiate HTTP/1.1\r\nHost: a\r\nAuthorization: " + bearer +
		"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n")
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.operators+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "evil.test"
	p.do(foreign)
	_, answer := fetch(t, http.MethodPost, hub+"/negotiate?negotiateVersion=1", "Authorization", bearer)
	_, rest, _ := strings.Cut(answer, `"connectionToken":"`)
	id, _, _ := strings.Cut(rest, `"`)
	first := p.connect(strings.TrimPrefix(bearer, "Bearer "), "?id="+id)
	fetch(t, http.MethodGet, hub+"?id="+id, upgrade...)
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
		fetch(t, method, hub+"?id="+id, "Authorization", bearer)
		fetch(t, method, hub+"?id="+id, "Authorization", bearer, "Accept", "text/event-stream")
	}
	fetch(t, http.MethodPost, hub+"/negotiate?negotiateVersion=1", "Authorization", bearer)
	_ = first.ws.CloseNow()
}

// raw sends bytes to the port for clients and returns the first bytes of the answer.
func (p *running) raw(text string) (answer string) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.clients, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(text)); err != nil {
		return err.Error()
	}
	buffer := make([]byte, 4096)
	n, _ := conn.Read(buffer)
	return string(buffer[:n])
}

// provokeFrames sends every kind of faulty handshake and frame.
func provokeFrames(t *testing.T) {
	p := start(t, serveArgs("--limits.frame_bytes=4096", "--limits.message_bytes=2048", "--timeouts.handshake=1s",
		"--limits.ping_rate=1", "--limits.frame_rate=1", "--limits.call_rate=1", "--timeouts.client=2s",
		"--timeouts.keep_alive=1s", "--quotas.user_connections=0")...)
	bearer := mustServiceToken(t, testOrganization)
	head := "GET /rte HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " + bearer + "\r\n\r\n"
	frame := func(first byte, payload string) string {
		text := []byte{first, 0x80 | byte(len(payload))}
		if len(payload) > 125 {
			text = []byte{first, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload))}
		}
		return string(append(text, 0, 0, 0, 0)) + payload // a mask of zeros
	}
	record := func(text string) string { return frame(0x81, text+"\x1e") }
	const handshake = `{"protocol":"json","version":1}`
	hello := record(handshake)
	for _, frames := range []string{
		"", record("{"), record(`{"protocol":"none","version":1}`), record(`{"protocol":"json","version":9}`),
		record(strings.Repeat("x", 3000)), frame(0x82, handshake+"\x1e"), frame(0xf1, "x"),
		record(`{"protocol":"messagepack","version":1}`),
		frame(0x82, `{"protocol":"messagepack","version":1}`+"\x1e") + frame(0x82, "\x02\x91\x06") + frame(0x88, "\x03\xe8"),
		hello + frame(0xc1, "x"), hello + frame(0x83, "x"), hello + "\x81\x01x", hello + frame(0x88, "x"),
		hello + frame(0x09, "x"), hello + frame(0x80, "x"), hello + frame(0x81, strings.Repeat("x", 5000)),
		hello + record(strings.Repeat("x", 3000)), hello + record("{"), hello + frame(0x88, "\x03\xe8"),
		hello + record(`{"type":7}`), hello + record(`{"type":4,"invocationId":"1","target":"Subscribe","arguments":[]}`),
		hello + record(`{"type":5,"invocationId":"1"}`) + record(`{"type":2,"invocationId":"1","item":1}`),
		hello + strings.Repeat(record(`{"type":6}`), 50),
		hello + strings.Repeat(record(`{"type":1,"target":"UnsubscribeAll","arguments":[]}`), 50),
		hello,
	} {
		p.hold(head + frames)
	}
	c := p.connect(bearer, "")
	for _, call := range []string{
		"ActiveSubscriptions|", "AvailableSubscriptions|", "AvailableSubscriptions|7,8,9", "Subscribe|", "Subscribe|7",
		"Unsubscribe|", `Unsubscribe|[{"EntityId":"` + testUser + `","EventName":"UserAlert"}]`, "UnsubscribeAll|",
		"UnsubscribeAll|1", "Nothing|", "ActiveSubscriptions|1",
	} {
		method, args, _ := strings.Cut(call, "|")
		c.send(`{"type":1,"invocationId":"1","target":"` + method + `","arguments":[` + args + `]}`)
		c.next()
	}
	eventually(t, "the handshake to time out", func() bool {
		return p.metric(`rte_transport_handshakes_failed_total{reason="timeout"}`) != "0" &&
			p.metric(`rte_hub_sessions_closed_total{reason="silent"}`) != "0"
	})
}

// hold sends bytes to the port for clients, and keeps the connection until the end of the test.
func (p *running) hold(text string) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.clients, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_, _ = conn.Write([]byte(text)) // the server may have closed it
	return conn
}

// provokeProxies sends every kind of header of the PROXY protocol.
func provokeProxies(t *testing.T) {
	for _, args := range [][]string{
		{"--proxy_protocol=optional", "--trusted_proxies=127.0.0.1"},
		{"--proxy_protocol=optional", "--trusted_proxies=10.1.1.1"},
	} {
		p := start(t, serveArgs(args...)...)
		get := "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		for _, header := range []string{
			"", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP4 nonsense\r\n",
			"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
		} {
			p.raw(header + get)
		}
	}
}

// provokeSlowReaders opens connections that do not read, with little memory for them.
func provokeSlowReaders(t *testing.T) {
	p := start(t, serveArgs("--limits.outbox_bytes=300KiB", "--timeouts.send=2s", "--snapshots.mode=always",
		"--fanout.backlog=10", "--tap.rate=1", "--tap.bytes=64KiB")...)
	c := p.connect(mustServiceToken(t, testOrganization), "")
	c.subscribe(testUser, "UserAlert")
	stopped := p.connect(mustServiceToken(t, testOrganization), "")
	stopped.subscribe(testUser, "UserSetting")
	big := strings.Repeat("x", 60_000)
	for i := range 400 {
		id := fmt.Sprintf("%08x-ce86-e611-80c9-00505689257e", i)
		for _, name := range []string{"UserAlert", "UserSetting"} {
			p.post("/api/publish", `{"OrganizationId":"`+testOrganization+`","EntityType":"User","EntityId":"`+testUser+
				`","EventType":"`+name+`","Id":"`+id+`","Value":"`+big+`"}`)
		}
		if p.metric(`rte_hub_sessions_closed_total{reason="slow"}`) != "0" {
			break
		}
	}
}

// provokeResume loses a socket of clients with stateful reconnect. One continues on another socket, one does not come
// back, and one opens a socket without saying where it continues.
func provokeResume(t *testing.T) {
	p := start(t, serveArgs("--resume.window=3s", "--timeouts.handshake=500ms", "--memory.limit=1GiB")...)
	bearer := mustServiceToken(t, testOrganization)
	for _, comesBack := range []string{"with its Sequence", "", "without a Sequence"} {
		_, answer := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1&useStatefulReconnect=true",
			"Authorization", "Bearer "+bearer)
		_, rest, _ := strings.Cut(answer, `"connectionToken":"`)
		id, _, _ := strings.Cut(rest, `"`)
		first := p.dial(bearer, "?id="+id)
		first.send(`{"protocol":"json","version":2}`)
		first.next()
		first.subscribe(testUser, "UserAlert")
		p.post("/api/publish", testJSON)
		_ = first.ws.CloseNow()
		eventually(t, "a detached outbox", func() bool { return p.metric("rte_fanout_outboxes_detached") != "0" })
		switch comesBack {
		case "with its Sequence":
			second := p.dial(bearer, "?id="+id)
			second.send(`{"type":9,"sequenceId":1}`)
			eventually(t, "a frame that is sent again", func() bool {
				return p.metric("rte_fanout_sent_again_total") != "0" &&
					p.metric(`rte_fanout_resumptions_total{outcome="resumed"}`) != "0"
			})
		case "without a Sequence":
			p.dial(bearer, "?id="+id)
			eventually(t, "a socket without a Sequence", func() bool {
				return p.metric("rte_transport_unclaimed_sockets") != "0"
			})
		}
	}
	eventually(t, "an outbox that ends", func() bool {
		return p.metric(`rte_fanout_resumptions_total{outcome="ended"}`) != "0"
	})
}

// provokePolls sends good and faulty requests of the transports beside WebSockets.
func provokePolls(t *testing.T) {
	p := start(t, serveArgs("--transports=ServerSentEvents,LongPolling", "--timeouts.client=2s",
		"--timeouts.keep_alive=1s", "--auth.refresh", "--limits.message_bytes=2048")...)
	bearer := []string{"Authorization", "Bearer " + mustServiceToken(t, testOrganization)}
	send := func(method, query, body string, header ...string) (status int) {
		request, err := http.NewRequestWithContext(t.Context(), method, p.clients+"/rte"+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		header = append(header, bearer...)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		status, _ = p.do(request)
		return status
	}
	negotiate := func() string {
		_, answer := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1", bearer...)
		_, rest, _ := strings.Cut(answer, `"connectionToken":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return "?id=" + id
	}
	const hello = `{"protocol":"json","version":1}` + "\x1e"
	id := negotiate()
	send(http.MethodPost, id, hello) // before the connection
	send(http.MethodGet, id, "")     // opens it
	send(http.MethodPost, id, hello)
	send(http.MethodGet, id, "") // the answer to the handshake
	send(http.MethodGet, id, "", "Accept", "text/event-stream")
	send(http.MethodPost, id, strings.Repeat("x", 10_000))
	polls := make(chan int, 2)
	for range 2 {
		go func() { polls <- send(http.MethodGet, id, "") }()
	}
	<-polls
	send(http.MethodDelete, id, "")
	<-polls
	silent := negotiate()
	send(http.MethodGet, silent, "")
	send(http.MethodPost, silent, hello)
	fetch(t, http.MethodGet, p.clients+"/rte"+negotiate(), append(bearer[:2:2], "Connection", "Upgrade", "Upgrade",
		"websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")...)
	stream := negotiate()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.clients+"/rte"+stream, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", bearer[1])
	request.Header.Set("Accept", "text/event-stream")
	if response, err := client.Do(request); err == nil {
		send(http.MethodPost, stream, hello)
		_ = response.Body.Close()
	}
	eventually(t, "the end of both connections", func() bool {
		return p.metric(`rte_transport_polls_total{outcome="missing"}`) != "0" && p.metric("rte_hub_sessions_open") == "0"
	})
}

// provokeAdmission sends more clients than a node lets in.
func provokeAdmission(t *testing.T) {
	for _, args := range [][]string{
		{"--limits.connections=1"},
		{"--quotas.address_connections=1"},
		{"--admission.rate=1", "--admission.burst=1", "--admission.wait=2s"},
	} {
		p := start(t, serveArgs(args...)...)
		bearer := mustServiceToken(t, testOrganization)
		_ = p.connect(bearer, "")
		answers := make(chan int)
		const requests = 8
		for range requests {
			go func() {
				status, _ := fetch(t, http.MethodPost, p.clients+"/rte/negotiate?negotiateVersion=1",
					"Authorization", "Bearer "+bearer)
				answers <- status
			}()
		}
		for range requests {
			<-answers
		}
	}
}

// provokeTaps opens taps whose events have no room.
func provokeTaps(t *testing.T) {
	p := start(t, serveArgs("--tap.max=1", "--tap.rate=1")...)
	p.connect(mustServiceToken(t, testOrganization), "").subscribe(testUser, "UserAlert")
	tap := p.tap("organization="+testOrganization, "")
	fetch(t, http.MethodGet, p.operators+"/api/tap?organization="+testOrganization)
	for range 20 {
		p.post("/api/publish", testJSON)
	}
	eventually(t, "a tap", func() bool { return p.metric("rte_tap_open") == "1" })
	tap.close()
	eventually(t, "the end of the tap", func() bool { return p.metric("rte_tap_open") == "0" })
	sampling := p.tap("sample=0.5&organization="+testOrganization, "")
	defer sampling.close()
	for range 20 {
		p.post("/api/publish", testJSON)
	}
}

// provokePace publishes call events above the quota of their organization.
func provokePace(t *testing.T) {
	p := start(t, serveArgs("--quotas.events=1")...)
	c := p.connect(strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization,
		"--role", "service", "--grant", ":UserCallInArrived")), "")
	c.subscribe(testUser, "UserCallInArrived")
	call := strings.Replace(testJSON, "UserAlert", "UserCallInArrived", 1)
	p.post("/api/publish", "["+strings.Repeat(call+",", 9)+call+"]")
	eventually(t, "events above the quota", func() bool {
		return p.metric(`rte_fanout_quota_events_total{outcome="paced"}`) != "0"
	})
}

// provokeFullRedis publishes to a Redis without memory.
func provokeFullRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--redis.watch=1s")...)
	p.connect(mustServiceToken(t, testOrganization), "").subscribe(testUser, "UserAlert")
	p.post("/api/publish", testJSON)
	redisCLI(t, redis, "", "CONFIG", "SET", "maxmemory", "1")
	eventually(t, "refused writes", func() bool { return p.metric("rte_backplane_writes_refused") == "1" })
	redisCLI(t, redis, "", "CONFIG", "SET", "maxmemory", "0")
	redisCLI(t, redis, "", "SET", "rte:j:{"+testLane+"}", "no stream")
	redisCLI(t, redis, "", "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "the loss of the journal", func() bool {
		return p.metric(`rte_backplane_losses_total{reason="outage"}`) != "0"
	})
}

// startHTTP starts a server for one handler and returns its URL.
func startHTTP(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}
