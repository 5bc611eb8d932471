package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// serveArgs returns the flags of a server that stops without a delay.
func serveArgs(more ...string) []string {
	return append(
		[]string{
			"serve", "--auth.hmac_secret=" + rtetest.Secret, "--shutdown.delay=0s", "--shutdown.drain=0s", "--shutdown.wait=0s",
		}, more...,
	)
}

// The user and the organization of the tokens in these tests.
const (
	testUser         = "aa9730c4-ce86-e611-80c9-00505689257e"
	testOrganization = "29f6e823-b484-e611-80c9-00505689257e"
)

// mustServiceToken makes a token that may subscribe to everything of an organization.
func mustServiceToken(t *testing.T, organization string) string {
	t.Helper()
	return strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", organization, "--role", "service",
		"--grant", ":UserAlert", "--grant", ":UserSetting"))
}

func TestServe_servesBothPorts(t *testing.T) {
	p := start(t, serveArgs()...)
	p.expectHealth(p.operators+"/readyz", 200)
	token := mustServiceToken(t, testOrganization)

	for _, test := range []struct {
		method, url string
		header      []string
		status      int
		contains    string
	}{
		{"GET", p.operators + "/readyz", nil, 200, `{"state":"ready"}`},
		{"GET", p.operators + "/healthz", nil, 200, "alive"},
		{"GET", p.operators + "/metrics", nil, 200, "rte_build_info{"},
		{"GET", p.operators + "/metrics", nil, 200, "go_goroutines "},
		{"POST", p.clients + "/rte/negotiate?negotiateVersion=1", nil, 401, ""},
		{
			"POST", p.clients + "/rte/negotiate?negotiateVersion=1",
			[]string{"Authorization", "Bearer " + token},
			200,
			`"connectionToken"`,
		},
		// This port has no paths of a development server or of the operator port.
		{"GET", p.clients + "/", nil, 404, ""},
		{"GET", p.clients + "/token/me/rte/", nil, 404, ""},
		{"GET", p.clients + "/metrics", nil, 404, ""},
		{"GET", p.clients + "/readyz", nil, 404, ""},
	} {
		if status, body := fetch(
			t, test.method, test.url, test.header...,
		); status != test.status || !strings.Contains(body, test.contains) {
			t.Errorf("%s %s: %d %.200s, want %d and %q", test.method, test.url, status, body, test.status, test.contains)
		}
	}
	if log := p.output.text(); strings.Count(log, "single node") != 1 || strings.Contains(log, `"warn"`) {
		t.Errorf("the log is\n%s", log)
	}

	p.stop()
	for _, url := range []string{p.clients, p.operators} {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
			conn.Close()
			t.Errorf("%s still listens", url)
		}
	}
}

// TestServe_stopsInOrder checks that a stopping node is unready before it refuses clients.
func TestServe_stopsInOrder(t *testing.T) {
	p := start(t, append(serveArgs(), "--shutdown.delay=1s", "--health.path=/health")...)
	token := mustServiceToken(t, testOrganization)

	p.cancel()
	eventually(t, "/readyz to say that the node stops", func() bool {
		status, body := fetch(t, "GET", p.operators+"/readyz")
		return status == 503 && strings.Contains(body, "draining")
	})
	if status, body := fetch(t, "GET", p.clients+"/health"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("health.path of a node that stops: %d %s", status, body)
	}
	if status, _ := fetch(t, "POST", p.clients+"/rte/negotiate", "Authorization", "Bearer "+token); status != 200 {
		t.Errorf("negotiate while the load balancer does not know yet: %d, want 200", status)
	}
	p.stop()
}

func TestServe_guardsOperatorPort(t *testing.T) {
	p := start(t, serveArgs("--console.token=0123456789abcdef")...)
	for token, want := range map[string]int{"0123456789abcdef": 200, "another": 401} {
		if status, _ := fetch(t, "GET", p.operators+"/metrics", "Authorization", "Bearer "+token); status != want {
			t.Errorf("metrics with token %q: %d, want %d", token, status, want)
		}
	}
	if status, _ := fetch(t, "GET", p.operators+"/readyz"); status != 200 {
		t.Errorf("probe without a token: %d", status)
	}
}

func TestServe_warnsOfUnsafeOptions(t *testing.T) {
	p := start(t, serveArgs("--auth.require_expiry=false")...)
	if log := p.output.text(); !strings.Contains(log, `"level":"warn"`) ||
		!strings.Contains(log, "auth.require_expiry: ") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestServe_closesFirstPortIfSecondIsTaken checks that a node closes its first port if it cannot open the second.
func TestServe_closesFirstPortIfSecondIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := rtetest.MustFreeAddr(t)
	_, stderr, err := command(t, "", serveArgs("--listen="+free, "--console.listen="+taken.Addr().String())...)
	if exitCode(err) != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("ended with %v\n%s", err, stderr)
	}
	if again, err := net.Listen("tcp", free); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
}

// TestPublish_reachesTap publishes every sample of the published API and receives it with a client.
func TestPublish_reachesTap(t *testing.T) {
	const organization = "00000000-0000-0000-0000-000000000000" // of the samples
	redis := rtetest.MustStartRedis(t)
	// The samples are of 2020; those with a MessageTTLSeconds have outlived it.
	p := start(t, serveArgs("--redis.addresses="+redis.Addr, "--events.expire=false")...)
	token := mustServiceToken(t, organization)

	files, err := filepath.Glob("../../testdata/events/[A-Z]*.json")
	if err != nil || len(files) != 31 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	var lines, names []string
	for _, file := range files {
		lines = append(lines, mustLine(t, file))
		names = append(names, organization+":"+strings.TrimSuffix(filepath.Base(file), ".json"))
	}

	type result struct {
		stdout, stderr string
		err            error
	}
	tapped := make(chan result, 1)
	go func() {
		var r result
		r.stdout, r.stderr, r.err = command(t, "", append([]string{
			"tap", "--url", p.clients + "/rte", "--token", token, "--count=31",
		}, names...)...)
		tapped <- r
	}()
	eventually(t, "the subscriptions", func() bool {
		select {
		case r := <-tapped:
			t.Fatalf("tap ended: %v\n%s", r.err, r.stderr)
		default:
		}
		_, metrics := fetch(t, "GET", p.operators+"/metrics")
		return strings.Contains(metrics, "rte_hub_subscriptions_active 31\n")
	})
	published := mustCommand(t, strings.Join(lines, "\n"), "publish", "--redis.addresses", redis.Addr)
	if n := strings.Count(published, ": published "); n != 31 {
		t.Errorf("%d events published\n%s", n, published)
	}
	r := <-tapped
	if r.err != nil || r.stderr != "" {
		t.Fatalf("tap: %v\n%s", r.err, r.stderr)
	}
	got := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if len(got) != 31 {
		t.Fatalf("%d messages", len(got))
	}
	for i, line := range got {
		var message struct {
			Subscription map[string]any
			Data         struct{ EventType string }
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil || len(message.Subscription) != 9 {
			t.Fatalf("%v: %s", err, line)
		}
		if want := strings.TrimSuffix(filepath.Base(files[i]), ".json"); message.Data.EventType != want {
			t.Errorf(
				"message %d is a %s, want %s: events of one lane come in the order in which they were published", i,
				message.Data.EventType, want,
			)
		}
	}
}

// mustLine returns a JSON file as one line.
func mustLine(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestPublish_reportsEachLine(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	good := mustLine(t, "../../testdata/events/UserStatus.json")        // of 2020
	broken := good[:strings.LastIndex(good, "}")] + `, "Rest": [1,,2]}` // malformed after all routing fields
	stdin := strings.Join([]string{good, "", "nonsense", `{"EventType":"UserStatus"}`, good, broken}, "\n")
	stdout, stderr, err := command(t, stdin, "publish", "-", "--redis.addresses", redis.Addr)
	if exitCode(err) != 1 || !strings.Contains(stderr, "3 events were not published") {
		t.Errorf("ended with %v\n%s", err, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for i, want := range []string{
		"1: published UserStatus of User 00000000-0000-0000-0000-000000000000",
		"3: not published: malformed event",
		"4: not published: malformed event",
		"5: published UserStatus of User 00000000-0000-0000-0000-000000000000, which has expired: Timestamp is 2020-",
		"6: not published: malformed event",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%s\ndoes not begin with %q", i+1, stdout, want)
		}
	}
}

func TestPublish_failsWithoutRedis(t *testing.T) {
	stdout, stderr, err := command(t, mustLine(t, "../../testdata/events/UserStatus.json"),
		"publish", "--redis.addresses", rtetest.MustFreeAddr(t))
	if exitCode(err) != 1 || !strings.HasPrefix(stdout, "1: not published: ") {
		t.Errorf("ended with %v\n%s\n%s", err, stdout, stderr)
	}
}

func TestSimulate_publishesEvents(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	p := start(t, serveArgs("--redis.addresses="+redis.Addr)...)
	token := mustServiceToken(t, "0d000000-0000-4000-8000-000000000001")
	tapped := make(chan string, 1)
	go func() {
		stdout, stderr, err := command(t, "", "tap", "--url", p.clients+"/rte", "--token", token, "--count=20",
			"0d000000-0000-4000-8000-000000000201:QueueStatus")
		if err != nil {
			t.Errorf("tap: %v\n%s", err, stderr)
		}
		tapped <- stdout
	}()
	eventually(t, "20 statuses of a queue", func() bool {
		mustCommand(t, "", "simulate", "--redis.addresses", redis.Addr, "--rate=2000", "--events=500")
		return len(tapped) > 0
	})
	if n := strings.Count(<-tapped, "\n"); n != 20 {
		t.Errorf("%d messages, want 20", n)
	}
}

// An incomplete request delayed the close of all connections until its time limit.
func TestServe_stopsBesideSlowRequests(t *testing.T) {
	p := start(t, serveArgs("--timeouts.read_header=30s")...) // a request may take twice as long
	c := p.connect(mustServiceToken(t, testOrganization), "")
	slow, err := net.Dial("tcp", strings.TrimPrefix(p.clients, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(
		slow, "POST /rte/negotiate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
	); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request to be read", func() bool {
		return p.metric(`rte_transport_requests_refused_total{reason="token",request="negotiate"}`) == "1"
	})

	p.cancel()
	c.expect(`"type":7`) // within patience, which is shorter
	slow.Close()
	p.stop()
}
