package peer_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
	"github.com/rte-server/rte-server/bench/peer"
)

// prepared returns a peer with two topics.
func prepared(t *testing.T, name string, auth bool) peer.Launch {
	t.Helper()
	peers, missing := peer.Find([]string{name})
	if len(missing) > 0 {
		t.Fatalf("no peer %s", name)
	}
	l, err := peers[0].Prepare(peer.Setup{
		Dir:      t.TempDir(),
		Client:   netip.MustParseAddrPort("127.0.0.1:1"),
		Operator: netip.MustParseAddrPort("127.0.0.1:2"),
		Broker:   netip.MustParseAddrPort("127.0.0.1:3"),
		Topics:   []event.Topic{event.NewTopic(0, 0, "UserStatus"), event.NewTopic(0, 1, "UserStatus")},
		Auth:     auth,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDialect_classifiesRecords(t *testing.T) {
	tests := []struct {
		name, peer, record string
		want               load.Record
	}{
		{"handshake answered", "rte", `{}`, load.Record{Kind: load.Welcome}},
		{"handshake refused", "rte", `{"error":"no"}`, load.Record{Kind: load.Refused}},
		{
			"two subscribed", "rte", `{"type":3,"invocationId":"1","result":[{"subscribed":true},{"subscribed":true}]}`,
			load.Record{Kind: load.Subscribed, Topics: 2},
		},
		{
			"one of two refused", "rte", `{"type":3,"invocationId":"1","result":[{"subscribed":true},{"subscribed":false}]}`,
			load.Record{Kind: load.Refused},
		},
		{"call failed", "rte", `{"type":3,"invocationId":"1","error":"no"}`, load.Record{Kind: load.Refused}},
		{"ping", "rte", `{"type":6}`, load.Record{}},
		{"close message", "rte", `{"type":7,"allowReconnect":true}`, load.Record{Kind: load.Refused}},
		{"connected", "centrifugo", `{"id":1,"connect":{"client":"x","version":"5"}}`, load.Record{Kind: load.Welcome}},
		{"subscribed", "centrifugo", `{"id":2,"subscribe":{}}`, load.Record{Kind: load.Subscribed, Topics: 1}},
		{
			"subscription refused", "centrifugo", `{"id":2,"error":{"code":103,"message":"permission denied"}}`,
			load.Record{Kind: load.Refused},
		},
		{"ping", "centrifugo", `{}`, load.Record{Kind: load.Ping}},
		{"connected or subscribed", "nats", "+OK\r", load.Record{Kind: load.Welcome, Topics: 1}},
		{"subscription refused", "nats", "-ERR 'Permissions Violation'\r", load.Record{Kind: load.Refused}},
		{"ping", "nats", "PING\r", load.Record{Kind: load.Ping}},
		{"head of a message", "nats", "MSG a.userstatus 1 1088\r", load.Record{}},
		{"two subscribed", "bun", `{"type":3,"result":[{"subscribed":true},{"subscribed":true}]}`, load.Record{
			Kind: load.Subscribed, Topics: 2,
		}},
		{"accepted", "limit1", `hello`, load.Record{Kind: load.Welcome}},
	}
	for _, tt := range tests {
		t.Run(tt.peer+" "+tt.name, func(t *testing.T) {
			if got := prepared(t, tt.peer, false).Dialect.Classify([]byte(tt.record)); got != tt.want {
				t.Errorf("%s is %+v, want %+v", tt.record, got, tt.want)
			}
		})
	}
}

func TestDialect_sendsATokenWhereNeeded(t *testing.T) {
	who := load.Identity{Index: 3}
	if got := string(prepared(t, "rte", false).Dialect.Upgrade(who)); !strings.Contains(got, "GET /rte?access_token=ey") {
		t.Errorf("the request to rte-server has no token: %s", got)
	}
	for _, auth := range []bool{false, true} {
		if got := string(prepared(t, "centrifugo", auth).Dialect.Hello(who)); strings.Contains(got, "token") != auth {
			t.Errorf("auth is %v and the message to Centrifugo is %s", auth, got)
		}
	}
}

func TestFind_acceptsNamesAndKinds(t *testing.T) {
	found, missing := peer.Find([]string{"limit", "rte", "unknown"})
	var names []string
	for _, p := range found {
		names = append(names, p.Name)
	}
	if got, want := strings.Join(names, " "), "limit1 limit4 limit8 limit16 rte rte-redis"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	if len(missing) != 1 || missing[0] != "unknown" {
		t.Errorf("missing are %v", missing)
	}
}
