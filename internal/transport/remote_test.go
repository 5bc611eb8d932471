package transport_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

// trust makes the proxies of a network trusted.
func trust(t *testing.T, header string, mode forwarded.Mode, networks ...string) func(*setup) {
	t.Helper()
	proxies, err := forwarded.Parse(networks, header)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *setup) { o.Proxies = transport.ProxyOptions{Trusted: proxies, Protocol: mode} }
}

// remotes returns what the hub knows about the other ends of the open connections.
func (s *server) remotes() (all []hub.Remote) {
	s.t.Helper()
	s.eventually("a session is open", func() bool { return s.hub.Sessions().Len() > 0 })
	for session := range s.hub.Sessions().All() {
		all = append(all, session.Info().Remote)
	}
	return all
}

// Both ways in agree on the address and the program of a client.
func TestRemote_ofAConnection(t *testing.T) {
	const agentHeader = "X-SignalR-User-Agent"
	const agent = "Microsoft SignalR/10.0 (10.0.11; Windows; Browser; Unknown Runtime Version)"
	local := "127.0.0.1"
	for name, test := range map[string]struct {
		trusted, header string
		target          string
		headers         []string
		address, agent  string
	}{
		"no proxy":           {address: local},
		"no trusted proxy":   {headers: []string{"X-Forwarded-For: 198.51.100.7"}, address: local},
		"another is trusted": {trusted: "10.0.0.0/8", headers: []string{"X-Forwarded-For: 198.51.100.7"}, address: local},
		"trusted": {
			trusted: "127.0.0.0/8", headers: []string{"X-Forwarded-For: 198.51.100.7"}, address: "198.51.100.7",
		},
		"made up": {
			trusted: "127.0.0.0/8", headers: []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.7"},
			address: "198.51.100.7",
		},
		"other header": {
			trusted: "127.0.0.0/8", headers: []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 198.51.100.7"},
			address: "198.51.100.7",
		},
		"RFC 7239": {
			trusted: "127.0.0.0/8", header: forwarded.Forwarded, address: "2001:db8::7",
			headers: []string{"X-Forwarded-For: 1.1.1.1", `Forwarded: for="[2001:db8::7]:80"`},
		},
		"agent": {headers: []string{"User-Agent: curl", agentHeader + ": " + agent}, address: local, agent: agent},
		"agent in the query": {
			target: "&x-signalr-user-agent=Microsoft+SignalR%2F10.0", headers: []string{"User-Agent: Mozilla"},
			address: local, agent: "Microsoft SignalR/10.0",
		},
		"only User-Agent": {headers: []string{"User-Agent: Mozilla/5.0"}, address: local, agent: "Mozilla/5.0"},
		"first of two":    {headers: []string{"User-Agent: a", "User-Agent: b"}, address: local, agent: "a"},
		"long agent": {
			headers: []string{"User-Agent: " + strings.Repeat("x", 4000)}, address: local, agent: strings.Repeat("x", 128),
		},
		"control characters": {
			target: "&X-SignalR-User-Agent=a%0a%1b%5b31m%00%c3%bc", address: local, agent: "a??[31m???",
		},
	} {
		t.Run(name, func(t *testing.T) {
			header := test.header
			if header == "" {
				header = forwarded.XForwardedFor
			}
			var networks []string
			if test.trusted != "" {
				networks = []string{test.trusted}
			}
			for _, withEntrance := range []bool{true, false} {
				ends := make(chan transport.End, 1)
				s := startServer(t, trust(t, header, forwarded.Off, networks...), func(o *setup) {
					if !withEntrance {
						o.serve = withoutEntrance
					}
					o.Ended = func(end transport.End) { ends <- end }
				})
				w := s.connect()
				response, body := w.upgrade("/rte?a=b"+test.target, "alice", test.headers...)
				if response.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("%s %q", response.Status, body)
				}
				w.text(handshake)
				w.expectText("{}")
				want := []hub.Remote{{
					Address: netip.MustParseAddr(test.address), Agent: test.agent,
					Received: int64(len(frame(fin|opText, []byte(handshake)))), Sent: int64(len("\x81\x03{}" + separator)),
				}}
				if diff := cmp.Diff(want, s.remotes(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Errorf("with entrance: %v: %s", withEntrance, diff)
				}
				w.Close()
				if end := <-ends; end.Address != netip.MustParseAddr(test.address) {
					t.Errorf("the end has %s", end.Address)
				}
			}
		})
	}
}

const (
	proxyV1 = "PROXY TCP4 198.51.100.7 10.0.0.1 4711 8080\r\n"
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x67\x1f\x90"
	localV2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

func TestProxyProtocol(t *testing.T) {
	const trusted, another = "127.0.0.0/8", "10.0.0.0/8"
	for name, test := range map[string]struct {
		mode     forwarded.Mode
		networks []string
		header   string
		pieces   bool   // the header comes by itself
		address  string // empty: the connection is closed
		status   int    // 0: upgraded
		result   string // of the metric
	}{
		"version 1": {mode: forwarded.Optional, header: proxyV1, address: "198.51.100.7", result: "named"},
		"version 2": {mode: forwarded.Required, header: proxyV2, address: "198.51.100.7", result: "named"},
		"by itself": {
			mode: forwarded.Required, header: proxyV2, pieces: true, address: "198.51.100.7", result: "named",
		},
		"health check":     {mode: forwarded.Required, header: localV2, address: "127.0.0.1", result: "local"},
		"absent":           {mode: forwarded.Optional, address: "127.0.0.1", result: "absent"},
		"absent, required": {mode: forwarded.Required, result: "absent"},
		"malformed":        {mode: forwarded.Optional, header: "PROXY TCP4 x\r\n", result: "malformed"},
		"untrusted": {
			mode: forwarded.Optional, networks: []string{another}, address: "127.0.0.1", result: "untrusted",
		},
		"untrusted, required": {mode: forwarded.Required, networks: []string{another}, header: proxyV1, result: "untrusted"},
		"spoofed": {
			mode: forwarded.Optional, networks: []string{another}, header: proxyV1, address: "127.0.0.1",
			status: http.StatusBadRequest, result: "untrusted",
		},
		"in front of another proxy": {
			mode: forwarded.Required, networks: []string{trusted, "198.51.100.0/24"}, header: proxyV1, address: "203.0.113.9",
			result: "named",
		},
		"off": {mode: forwarded.Off, header: proxyV1, address: "127.0.0.1", status: http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			networks := test.networks
			if networks == nil {
				networks = []string{trusted}
			}
			s := startServer(t, trust(t, forwarded.XForwardedFor, test.mode, networks...))
			w := s.connect()
			w.write([]byte(test.header))
			if test.pieces {
				s.eventually("the header is read", func() bool {
					return s.count("rte_transport_proxy_headers_total", "result", "named") == 1
				})
			}
			var headers []string
			if name == "in front of another proxy" {
				headers = []string{"X-Forwarded-For: 203.0.113.9"}
			}
			w.write([]byte(upgradeHead("/rte", append(headers, "Authorization: Bearer alice")...)))
			response, err := http.ReadResponse(w.in, nil)
			switch {
			case test.address == "" && err == nil:
				t.Errorf("answered %s, want the end", response.Status)
			case test.address == "":
			case err != nil:
				t.Fatal(err)
			case test.status != 0 && response.StatusCode != test.status:
				t.Errorf("answered %s, want %d", response.Status, test.status)
			case test.status == 0 && response.StatusCode != http.StatusSwitchingProtocols:
				t.Errorf("answered %s", response.Status)
			case test.status == 0:
				w.text(handshake)
				w.expectText("{}")
				if got := s.remotes()[0].Address.String(); got != test.address {
					t.Errorf("the client is %s, want %s", got, test.address)
				}
			}
			if test.result != "" {
				if n := s.count("rte_transport_proxy_headers_total", "result", test.result); n != 1 {
					t.Errorf("%v connections are counted as %s", n, test.result)
				}
			}
		})
	}
}

// The address of a proxy counted for all of its clients, or was not counted at all.
func TestQuota_ofAnAddressBehindAProxy(t *testing.T) {
	s := startServer(t, trust(t, forwarded.XForwardedFor, forwarded.Optional, "127.0.0.0/8"), func(o *setup) {
		o.Limits.AddressConnections = 1
	})
	var refused []string
	for _, from := range []string{"192.168.7.1", "192.168.7.2", "198.51.100.7", "198.51.100.7", "192.168.7.1", ""} {
		var headers []string
		if from != "" {
			headers = []string{"X-Forwarded-For: " + from}
		}
		response, _ := s.connect().upgrade("/rte", "alice", headers...)
		if response.StatusCode != http.StatusSwitchingProtocols {
			refused = append(refused, from)
		}
	}
	if diff := cmp.Diff([]string{"198.51.100.7", "192.168.7.1"}, refused); diff != "" {
		t.Error(diff)
	}
	// net/http gets the address of the PROXY protocol, too.
	w := s.connect()
	w.write([]byte(proxyV1))
	response, body := w.do(http.MethodPost, "/rte/negotiate", "alice")
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s %q", response.Status, body)
	}
}

// The audit log names the client, not the proxy.
func TestRefused_namesTheClient(t *testing.T) {
	var got []string
	s := startServer(t, trust(t, forwarded.XForwardedFor, forwarded.Off, "127.0.0.0/8"), func(o *setup) {
		o.Refused = func(remote, _, _ string) { got = append(got, remote) }
	})
	s.do(http.MethodPost, "/rte/negotiate", "mallory", "X-Forwarded-For: 198.51.100.7")
	if diff := cmp.Diff([]string{"198.51.100.7"}, got); diff != "" {
		t.Error(diff)
	}
}
