package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// otherSecret is a second secret, of the same length as rtetest.Secret.
const otherSecret = "another secret of at least thirty-two bytes"

// reloading is a server with a configuration file that tests change.
type reloading struct {
	*running

	dir    string
	values map[string]string
	client *client // is connected before the first reload and must stay
}

// startReloading starts a server with a file that has the values.
func startReloading(t *testing.T, values map[string]string) *reloading {
	t.Helper()
	r := &reloading{dir: t.TempDir(), values: map[string]string{
		"auth.hmac_secret": rtetest.Secret, "shutdown.delay": "0s", "shutdown.drain": "0s", "console.token": "",
	}}
	maps.Copy(r.values, values)
	r.write()
	r.running = start(t, "serve", "--config="+r.path())
	r.client = r.connect(mustServiceToken(t, testOrganization), "?features=notices")
	r.client.ignored = []string{"Resync", "Notice"}
	return r
}

func (r *reloading) path() string { return filepath.Join(r.dir, "rte.yaml") }

// write writes the configuration file.
func (r *reloading) write() {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		fmt.Fprintf(&text, "%s: %q\n", key, r.values[key])
	}
	if err := os.WriteFile(r.path(), []byte(text.String()), 0o600); err != nil {
		panic(err)
	}
}

// reload changes values and makes the server take them over. It returns the keys that changed.
func (r *reloading) reload(values map[string]string) (applied, restart []string) {
	r.t.Helper()
	operator := r.values["console.token"]
	maps.Copy(r.values, values)
	r.write()
	status, answer := r.postReload(operator)
	var changes struct{ Applied, Restart []string }
	if err := json.Unmarshal([]byte(answer), &changes); err != nil || status != http.StatusOK {
		r.t.Fatalf("reload: %d %s", status, answer)
	}
	return changes.Applied, changes.Restart
}

func (r *reloading) postReload(operator string) (status int, answer string) {
	r.t.Helper()
	return fetch(r.t, "POST", r.operators+"/api/reload", "Authorization", "Bearer "+operator)
}

// checkClient checks that the client of the start is still connected and served.
func (r *reloading) checkClient() {
	r.t.Helper()
	r.client.send(`{"type":1,"invocationId":"9","target":"AvailableSubscriptions","arguments":[]}`)
	r.client.expect(`"invocationId":"9"`)
}

// negotiate returns the status of a negotiate and the connection token.
func (p *running) negotiate(token string, header ...string) (status int, id string) {
	p.t.Helper()
	header = append(header, "Authorization", "Bearer "+token)
	status, body := fetch(p.t, "POST", p.clients+"/rte/negotiate?negotiateVersion=1", header...)
	var answer struct{ ConnectionToken string }
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			p.t.Fatal(err)
		}
	}
	return status, answer.ConnectionToken
}

// tokenOf makes a token that is signed with a secret.
func tokenOf(t *testing.T, secret string, more ...string) string {
	t.Helper()
	args := []string{
		"token", "--auth.hmac_secret=" + secret, "--user", testUser, "--org", testOrganization,
	}
	return strings.TrimSpace(mustCommand(t, "", append(args, more...)...))
}

// acceptsFrom reports whether the server accepts a connection that another node negotiated.
func (p *running) acceptsFrom(other *running) bool {
	p.t.Helper()
	token := mustServiceToken(p.t, testOrganization)
	_, id := other.negotiate(token)
	ws, answer, err := websocket.Dial(p.t.Context(), "ws"+strings.TrimPrefix(p.clients, "http")+"/rte?id="+id,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err == nil {
		_ = ws.CloseNow()
	} else if answer == nil || answer.StatusCode != http.StatusNotFound {
		p.t.Fatal(err)
	}
	return err == nil
}

// refuses reports whether a connection of a new client would be refused because of a limit.
func (p *running) refuses() bool {
	p.t.Helper()
	status, _ := p.negotiate(mustServiceToken(p.t, testOrganization))
	return status == http.StatusServiceUnavailable
}

// refusesSecond reports whether a fresh client gets the first of two subscriptions, and not the second.
func (p *running) refusesSecond(token string) bool {
	p.t.Helper()
	c := p.connect(token, "")
	defer func() { _ = c.ws.CloseNow() }()
	c.send(fmt.Sprintf(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[`+
		`{"EntityId":%[1]q,"EventName":"UserStatus"},{"EntityId":%[1]q,"EventName":"UserAlert"}]]}`, testUser))
	answer := c.next()
	if strings.Count(answer, `"subscribed":`) != 2 || !strings.Contains(answer, `"subscribed":true`) {
		p.t.Fatalf("subscribed: %s", answer)
	}
	return strings.Contains(answer, `"message":"Subscription limit reached"`)
}

// throttles reports whether the server slows a client down that sends several records at once.
func (p *running) throttles(rate, record string, records int) bool {
	p.t.Helper()
	c := p.connect(mustServiceToken(p.t, testOrganization), "")
	defer func() { _ = c.ws.CloseNow() }()
	for range records {
		c.send(record)
	}
	c.send(`{"type":1,"invocationId":"last","target":"AvailableSubscriptions","arguments":[]}`)
	for !strings.Contains(c.next(), `"invocationId":"last"`) {
	}
	n := p.metric(`rte_transport_throttled_total{rate="` + rate + `"}`)
	return n != "0" && n != ""
}

// within waits until a condition holds, and reports whether it did.
func within(limit time.Duration, condition func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(limit); ; {
		if condition() {
			return true
		}
		select {
		case <-tick.C:
		case <-timeout:
			return false
		}
	}
}
