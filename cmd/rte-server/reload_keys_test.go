package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// reloadedKey shows that a running server takes over a new value of a key.
type reloadedKey struct {
	from map[string]string // of the start, besides the defaults
	to   string            // the new value
	// inForce reports whether the new value is in force. It does not hold before the reload and holds after it.
	inForce func(*reloading) bool
	// prepare runs before the start and may add to from; nil: nothing.
	prepare func(t *testing.T, from map[string]string)
	// elsewhere names the test that shows the same where this one cannot.
	elsewhere string
}

func reloadedKeys() map[string]reloadedKey {
	byStop := func(key, from string) reloadedKey {
		return reloadedKey{elsewhere: "TestReload_changesStop: " + key + " from " + from}
	}
	ofRedis := reloadedKey{elsewhere: "TestReload_rotatesPasswordOfRedis"}
	ofSentinels := reloadedKey{elsewhere: "TestFiles_rotateUnderConnectedClients/redis.sentinel_password_file"}
	ofLoss := reloadedKey{elsewhere: "TestReload_changesNotices"}
	record := `{"type":1,"invocationId":"1","target":"AvailableSubscriptions","arguments":[]}`
	return map[string]reloadedKey{
		"origins": {to: "https://desk.example.com", inForce: func(r *reloading) bool {
			return r.allowsOrigin("https://desk.example.com")
		}},
		"connection.secret": {
			from:    map[string]string{"connection.secret": rtetest.Secret},
			to:      otherSecret,
			inForce: func(r *reloading) bool { return r.other(otherSecret).acceptsFrom(r.running) },
		},
		"connection.previous_secret": {
			from:    map[string]string{"connection.secret": rtetest.Secret},
			to:      otherSecret,
			inForce: func(r *reloading) bool { return r.acceptsFrom(r.other(otherSecret)) },
		},
		"console.token": {to: "0123456789abcdef", inForce: func(r *reloading) bool {
			without, _ := fetch(r.t, "GET", r.operators+"/metrics")
			with, _ := fetch(r.t, "GET", r.operators+"/metrics", "Authorization", "Bearer 0123456789abcdef")
			return without == http.StatusUnauthorized && with == http.StatusOK
		}},
		"console.read_token": {
			from: map[string]string{"console.token": "0123456789abcdef"}, to: "fedcba9876543210",
			inForce: func(r *reloading) bool {
				status, _ := fetch(r.t, "GET", r.operators+"/metrics", "Authorization", "Bearer fedcba9876543210")
				return status == http.StatusOK
			},
		},
		"console.publish_token": {
			from: map[string]string{"console.token": "0123456789abcdef"}, to: "fedcba9876543210",
			inForce: func(r *reloading) bool {
				status, _ := fetch(r.t, "POST", r.operators+"/api/publish", "Authorization", "Bearer fedcba9876543210")
				return status != http.StatusUnauthorized
			},
		},
		"auth.hmac_secret": {to: otherSecret, inForce: func(r *reloading) bool {
			old, _ := r.negotiate(tokenOf(r.t, rtetest.Secret))
			fresh, _ := r.negotiate(tokenOf(r.t, otherSecret))
			return old == http.StatusUnauthorized && fresh == http.StatusOK
		}},
		"auth.previous_hmac_secret": {to: otherSecret, inForce: func(r *reloading) bool {
			status, _ := r.negotiate(tokenOf(r.t, otherSecret))
			return status == http.StatusOK
		}},
		"directory.token": directoryToken(),
		"tracing.headers": tracingHeaders(),

		"limits.connections": {to: "1", inForce: func(r *reloading) bool { return r.refuses() }},
		"limits.subscriptions": {to: "1", inForce: func(r *reloading) bool {
			return r.refusesSecond(mustServiceToken(r.t, testOrganization))
		}},
		"limits.agent_subscriptions": {to: "1", inForce: func(r *reloading) bool {
			return r.refusesSecond(tokenOf(r.t, rtetest.Secret)) && !r.refusesSecond(mustServiceToken(r.t, testOrganization))
		}},
		"limits.items": {to: "1", inForce: func(r *reloading) bool {
			return r.refusesSecond(mustServiceToken(r.t, testOrganization))
		}},
		"limits.frame_rate": {to: "1", inForce: func(r *reloading) bool { return r.throttles("frames", `{"type":6}`, 5) }},
		"limits.call_rate":  {to: "1", inForce: func(r *reloading) bool { return r.throttles("calls", record, 12) }},
		"limits.ping_rate":  {to: "1", inForce: (*reloading).throttlesPings},

		"quotas.connections":      {to: "1", inForce: func(r *reloading) bool { return r.refuses() }},
		"quotas.user_connections": {to: "1", inForce: func(r *reloading) bool { return r.refuses() }},
		"quotas.address_connections": {
			from: map[string]string{"trusted_proxies": "127.0.0.1"}, to: "1", inForce: (*reloading).refusesAddress,
		},
		"quotas.subscriptions": {to: "1", inForce: func(r *reloading) bool {
			return r.refusesSecond(mustServiceToken(r.t, testOrganization))
		}},
		"quotas.events": {to: "1", inForce: (*reloading).holdsStatesBack},

		"resync.window": ofLoss, "resync.close_window": ofLoss, "resync.rate": ofLoss,
		"shutdown.delay": byStop("delay", "1h"), "shutdown.drain": byStop("drain", "1h"),
		"shutdown.timeout": byStop("timeout", "3h"),
		"log.level":        {to: "warn", inForce: func(r *reloading) bool { return !r.logsConnections() }},
		"redis.username":   ofRedis, "redis.password": ofRedis,
		"redis.sentinel_username": ofSentinels, "redis.sentinel_password": ofSentinels,
	}
}

// TestReload_appliesEveryReloadableKey changes each key that docs/configuration.md marks as reloadable. The client that
// is connected stays.
func TestReload_appliesEveryReloadableKey(t *testing.T) {
	keys := reloadedKeys()
	for _, key := range config.Reloadable() {
		secret, ofFile := strings.CutSuffix(key, "_file")
		test, ok := keys[secret]
		switch {
		case !ok:
			t.Errorf("%s: is marked as reloadable, and no test shows it", key)
			continue
		case test.elsewhere != "":
			continue
		}
		t.Run(key, func(t *testing.T) {
			from := map[string]string{}
			maps.Copy(from, test.from)
			if test.prepare != nil {
				test.prepare(t, from)
			}
			r := startReloading(t, from)
			if test.inForce(r) {
				t.Fatal("the new value seems to be in force before the reload")
			}
			change := map[string]string{key: test.to}
			if ofFile {
				path := filepath.Join(r.dir, "secret")
				rtetest.MustReplaceFile(t, path, []byte(test.to+"\n"))
				change = map[string]string{secret: "", key: path}
			}
			applied, restart := r.reload(change)
			if !slices.Contains(applied, key) || !slices.Contains(applied, secret) || len(restart) > 0 {
				t.Errorf("applied %v, restart %v", applied, restart)
			}
			if !test.inForce(r) {
				t.Error("the new value is not in force")
			}
			r.checkClient()
		})
	}
	for key := range keys {
		if !slices.Contains(config.Reloadable(), key) {
			t.Errorf("%s: is not marked as reloadable", key)
		}
	}
}

// refusesAddress reports whether a second connection from one address would be refused.
func (r *reloading) refusesAddress() bool {
	r.t.Helper()
	token := mustServiceToken(r.t, testOrganization)
	ws, _, err := websocket.Dial(r.t.Context(), "ws"+strings.TrimPrefix(r.clients, "http")+"/rte",
		&websocket.DialOptions{HTTPHeader: http.Header{
			"Authorization": {"Bearer " + token}, "X-Forwarded-For": {"198.51.100.7"},
		}})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	status, _ := r.negotiate(token, "X-Forwarded-For", "198.51.100.7")
	return status == http.StatusServiceUnavailable
}

// allowsOrigin reports whether a page of an origin may read the answer to negotiate.
func (r *reloading) allowsOrigin(origin string) bool {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodOptions, r.clients+"/rte/negotiate", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", "POST")
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Access-Control-Allow-Origin") == origin
}

// other starts another node of the deployment.
func (r *reloading) other(secret string) *running {
	r.t.Helper()
	return start(r.t, serveArgs("--connection.secret="+secret)...)
}

// directoryToken uses a directory behind HTTP that records the token of its last request.
func directoryToken() reloadedKey {
	var seen atomic.Value
	seen.Store("")
	return reloadedKey{
		to: otherSecret,
		prepare: func(t *testing.T, from map[string]string) {
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				w.Header().Set("Connection", "close")
				seen.Store(request.Header.Get("Authorization"))
				_, _ = w.Write([]byte(`{"entities":[]}`))
			}))
			t.Cleanup(service.Close)
			from["directory.kind"], from["directory.url"] = "http", service.URL
		},
		inForce: func(r *reloading) bool {
			r.client.subscribe(events.NewID().String(), "UserStatus") // unknown to the cache
			return seen.Load() == "Bearer "+otherSecret
		},
	}
}

// throttlesPings reports whether the server leaves some of 15 pings of a client unanswered.
func (r *reloading) throttlesPings() bool {
	r.t.Helper()
	c := r.connect(mustServiceToken(r.t, testOrganization), "")
	defer func() { _ = c.ws.CloseNow() }()
	c.ws.CloseRead(r.t.Context())
	for range 15 {
		// The test needs the pings, not their answers: it waits for none of them longer.
		ctx, cancel := context.WithTimeout(r.t.Context(), 50*time.Millisecond)
		_ = c.ws.Ping(ctx)
		cancel()
	}
	return within(time.Second, func() bool { return r.metric(`rte_transport_throttled_total{rate="pings"}`) != "0" })
}

// holdsStatesBack publishes three states of one entity and reports whether the server holds any of them back.
func (r *reloading) holdsStatesBack() bool {
	r.t.Helper()
	r.client.subscribe(testUser, "UserStatus")
	if status, answer := r.post("/api/publish", eventLine(1)+"\n"+eventLine(2)+"\n"+eventLine(3)+"\n"); status != 200 {
		r.t.Fatalf("published: %d %s", status, answer)
	}
	for !strings.Contains(r.client.next(), "0d000000-0000-4000-8000-000000000003") {
	}
	return r.metric(`rte_fanout_quota_events_total{outcome="held"}`) != "0"
}

// logsConnections reports whether the log has a line of level info about a new connection.
func (r *reloading) logsConnections() bool {
	r.t.Helper()
	before := len(r.output.text())
	c := r.connect(mustServiceToken(r.t, testOrganization), "")
	_ = c.ws.CloseNow()
	const last = "configuration refused" // of level error, behind the other
	wrong := maps.Clone(r.values)
	if err := os.WriteFile(r.path(), []byte("no.such: key"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if status, answer := r.postReload(""); status != http.StatusBadRequest {
		r.t.Fatalf("reload: %d %s", status, answer)
	}
	r.values = wrong
	r.write()
	eventually(r.t, "the last line", func() bool { return strings.Contains(r.output.text()[before:], last) })
	return strings.Contains(r.output.text()[before:], fmt.Sprintf("%q", "connected"))
}
