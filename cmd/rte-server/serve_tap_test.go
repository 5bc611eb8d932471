package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// tapFrame is a frame of /api/tap.
type tapFrame struct{ event, data string }

// openTap is a live tap.
type openTap struct {
	t      *testing.T
	frames chan tapFrame
	close  func()
}

// tap opens a live tap. The end of the test closes it.
func (p *running) tap(query, token string) *openTap {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.operators+"/api/tap?"+query, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil || response.StatusCode != http.StatusOK ||
		response.Header.Get("Content-Type") != "text/event-stream" {
		p.t.Fatalf("tap: %v %+v", err, response)
	}
	o := &openTap{t: p.t, frames: make(chan tapFrame, 10_000), close: cancel}
	done := make(chan struct{})
	p.t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		defer close(o.frames)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		var f tapFrame
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				f.event = value
			case "data":
				f.data = value
				o.frames <- f
			}
		}
	}()
	return o
}

// next waits for a frame of a kind that contains a text, and returns it.
func (o *openTap) next(event, text string) string {
	o.t.Helper()
	timeout := time.After(patience)
	var last tapFrame
	for {
		select {
		case f, ok := <-o.frames:
			if !ok {
				o.t.Fatalf("the tap ended before a frame %s with %s; the last one: %v", event, text, last)
			}
			if last = f; f.event == event && strings.Contains(f.data, text) {
				return f.data
			}
		case <-timeout:
			o.t.Fatalf("waited in vain for a frame %s with %s; the last one: %v", event, text, last)
		}
	}
}

// nextEvent waits for an event with an outcome.
func (o *openTap) nextEvent(id, outcome string) (e console.TapEvent) {
	o.t.Helper()
	for e.ID != id || e.Outcome != outcome {
		e = console.TapEvent{}
		if err := json.Unmarshal([]byte(o.next("event", id)), &e); err != nil {
			o.t.Fatal(err)
		}
	}
	return e
}

// callEvent is an event with a number of a caller.
func callEvent(n int) (id, line string) {
	id = fmt.Sprintf("0e000000-0000-4000-8000-%012d", n)
	return id, fmt.Sprintf(`{"Id":%q,"RootEntityType":"Organization","RootEntityId":%q,"EventType":"UserCallInComing",`+
		`"EntityType":"User","EntityId":%q,"OrganizationId":%q,"CallerNumber":"+41441234567","Username":"bob@example.com",`+
		`"CallId":"7a000000-0000-4000-8000-000000000001","Surprise":"Bob","MessageTTLSeconds":-1}`,
		id, testOrganization, testUser, testOrganization)
}

// TestTap_showsEventsOfAllNodes taps a node without clients. Within a second it shows the outcome of an event on the
// other node, without personal values.
func TestTap_showsEventsOfAllNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	first := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	second := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	client := first.connect(mustServiceToken(t, testOrganization), "")
	client.subscribe(testUser, "UserCallInComing")
	tap := second.tap("user="+testUser+"&event=UserCallInComing,UserStatus", "")
	var hello console.TapHello
	if err := json.Unmarshal([]byte(tap.next("hello", "")), &hello); err != nil || hello.Filter.Data != "masked" ||
		!strings.Contains(strings.Join(hello.Masked, " "), "CallerNumber") {
		t.Errorf("hello %+v, %v", hello, err)
	}
	tap.next("node", `"joined"`)
	tap.next("node", `"joined"`)

	id, line := callEvent(1)
	began := time.Now()
	if status, answer := first.post("/api/publish", line); status != http.StatusOK {
		t.Fatalf("published: %d %s", status, answer)
	}
	e := tap.nextEvent(id, "matched")
	if took := time.Since(began); took > patience/4 { // a second, and the rest for a busy machine
		t.Errorf("the event took %s", took)
	}
	data := string(e.Data)
	if e.Node == hello.Node || e.Node == "" || e.Subscribers != 1 || e.Event != "UserCallInComing" ||
		e.EntityType != "User" || e.Tier != "T2" || e.Lane == "" || e.Bytes != len(line) ||
		strings.Contains(data, "4144") || strings.Contains(data, "ob@") || strings.Contains(data, "Bob") ||
		!strings.Contains(data, `"CallerNumber":"***"`) || !strings.Contains(data, `"Surprise":"***"`) ||
		!strings.Contains(data, "7a000000-0000-4000-8000-000000000001") {
		t.Errorf("event %+v, data %s", e, data)
	}
	tap.close()

	// A tap of an organization brings its events to a node without subscribers.
	full := second.tap("data=full&organization="+testOrganization+"&entity="+testUser, "")
	full.next("node", `"joined"`)
	full.next("node", `"joined"`)
	eventually(t, "the lane of the organization on the node without clients", func() bool {
		return second.metric(`rte_backplane_lanes{state="confirmed"}`) == "1"
	})
	id, line = callEvent(2)
	if status, answer := first.post("/api/publish", line); status != http.StatusOK {
		t.Fatalf("published: %d %s", status, answer)
	}
	seen := map[string]string{}
	for len(seen) < 2 {
		if err := json.Unmarshal([]byte(full.next("event", id)), &e); err != nil || string(e.Data) != line {
			t.Fatalf("full data %s, %v", e.Data, err)
		}
		seen[e.Outcome] = e.Node
	}
	if seen["no_subscribers"] != hello.Node || seen["matched"] == hello.Node {
		t.Errorf("outcomes %v, the node that answers is %s", seen, hello.Node)
	}

	// The other node stops: the tap reports it and goes on.
	first.stop()
	full.next("node", `"lost"`)
	second.stop()
	for range full.frames {
	}
	for _, want := range []string{`"tap began"`, `"tap ended"`} {
		if !strings.Contains(second.output.text(), want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
}

// TestTap_reportsWhatItLeavesOut publishes more events than a tap may copy.
func TestTap_reportsWhatItLeavesOut(t *testing.T) {
	node := start(t, serveArgs("--tap.rate=5")...)
	tap := node.tap("event=UserCallInComing", "")
	tap.next("node", `"joined"`)
	var lines strings.Builder
	for n := range 50 {
		_, line := callEvent(n)
		lines.WriteString(line + "\n")
	}
	if status, answer := node.post("/api/publish", lines.String()); status != http.StatusOK {
		t.Fatalf("published: %d %s", status, answer)
	}
	shown, left := 0, uint64(0)
	for timeout := time.After(patience); shown+int(left) < 50; {
		select {
		case f := <-tap.frames:
			switch f.event {
			case "event":
				shown++
			case "dropped":
				var d console.TapDropped
				if err := json.Unmarshal([]byte(f.data), &d); err != nil || d.Reason != "rate" || d.Since.IsZero() {
					t.Errorf("dropped %s", f.data)
				}
				left += d.Count
			}
		case <-timeout:
			t.Fatalf("%d events shown, %d reported as left out, of 50", shown, left)
		}
	}
	metric := node.metric(`rte_tap_dropped_total{reason="rate"}`)
	if shown < 5 || shown > 10 || metric != fmt.Sprint(left) {
		t.Errorf("%d events shown, %d left out, metric %s", shown, left, metric)
	}
}

// TestTap_isForRoles tries each role, and each mistake in a filter.
func TestTap_isForRoles(t *testing.T) {
	const operator, reader = "operator-token-0123456789", "reader-token-0123456789"
	const publisher = "publisher-token-0123456789"
	node := start(t, serveArgs("--tap.max=2", "--console.token="+operator, "--console.read_token="+reader,
		"--console.publish_token="+publisher)...)
	get := func(path, token string) (int, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, node.operators+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		return node.do(request)
	}
	for _, test := range []struct {
		path, token string
		status      int
		want        string
	}{
		{"/api/whoami", operator, 200, `"role":"operator"`},
		{"/api/whoami", reader, 200, `"act":false`},
		{"/api/whoami", publisher, 200, `"publish":true`},
		{"/api/overview", reader, 200, `"state":`},
		{"/api/overview", publisher, 403, "does not allow"},
		{"/api/log-level", reader, 200, `"level":"info"`},
		{"/api/tap", publisher, 403, "does not allow"},
		{"/api/tap?data=full", reader, 403, "does not allow"},
		{"/api/tap?data=masked&data=full", reader, 403, "does not allow"},
		{"/api/tap?dat%61=full", reader, 403, "does not allow"},
		{"/api/tap?data=masked&data=none", operator, 400, "twice"},
		{"/api/tap?data=all", operator, 400, "data: must be"},
		{"/api/tap?sample=0", operator, 400, "sample: must be"},
		{"/api/tap?sample=NaN", operator, 400, "sample: must be"},
		{"/api/tap?event=Nothing", operator, 400, "event: must be"},
		{"/api/tap?entity=x", operator, 400, "entity: must be a GUID"},
		{"/api/tap?nodes=some", operator, 400, "nodes: must be"},
		{"/api/tap?user=" + testUser + "&connection=x", operator, 400, "does not go with user"},
		{"/api/tap?surprise=1", operator, 400, "unknown parameter"},
	} {
		if status, answer := get(test.path, test.token); status != test.status || !strings.Contains(answer, test.want) {
			t.Errorf("%s: %d %s, want %d with %s", test.path, status, answer, test.status, test.want)
		}
	}
	for range 2 {
		node.tap("nodes=self&data=none", reader).next("hello", `"nodes":"this"`)
	}
	eventually(t, "two taps", func() bool {
		_, answer := get("/api/overview", operator)
		return strings.Contains(answer, `"taps":2`)
	})
	if status, answer := get("/api/tap", operator); status != 503 || !strings.Contains(answer, "tap.max") {
		t.Errorf("a third tap: %d %s", status, answer)
	}
}
