package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestDev_takesEventsOfRedisClients publishes to a development server with redis-cli, where there is no Redis.
func TestDev_takesEventsOfRedisClients(t *testing.T) {
	address := rtetest.MustFreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	p := start(t, "dev", "--rate=1", "--redis-port="+port)
	_, body := fetch(t, "GET", p.clients+"/token/me/rte/")
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(body), &token); err != nil {
		t.Fatalf("token: %s", body)
	}
	const entity = "0d000000-0000-4000-8000-000000000101"
	c := p.connect(token.Token, "")
	if answer := c.subscribe(entity, "UserStatus"); !strings.Contains(answer, `"subscribed":true`) {
		t.Fatalf("subscribed: %s", answer)
	}

	const organization = "0d000000-0000-4000-8000-000000000001"
	event := `{"Id":"0d000000-0000-4000-8000-0000000000ff","OrganizationId":"` + organization +
		`","EntityType":"User","EntityId":"` + entity +
		`","EventType":"UserStatus"}`
	server := &rtetest.Redis{Addr: address}
	if got := redisCLI(t, server, "", "PUBLISH", "rte:org:"+organization, event); got != "1" {
		t.Errorf("redis-cli PUBLISH: %s", got)
	}
	for got := ""; !strings.Contains(got, "0d000000-0000-4000-8000-0000000000ff"); { // among those of the simulator
		if got = c.next(); !strings.HasPrefix(got, `{"type":1,`) {
			t.Fatalf("got %s", got)
		}
	}
	eventually(t, "the address to be printed", func() bool {
		return strings.Contains(p.output.text(), "publishers  redis://"+address+", PUBLISH rte:org:"+organization)
	})
}

func TestDev_refusesBadRedisPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for where, want := range map[string]int{"x": 2, "99999": 2, taken.Addr().String(): 1} {
		_, stderr, err := command(t, "", "dev", "--listen=127.0.0.1:0", "--console.listen=127.0.0.1:0", "--redis-port="+where)
		if exitCode(err) != want || !strings.Contains(stderr, "--redis-port: ") {
			t.Errorf("%s: %v\n%s", where, err, stderr)
		}
	}
}
