package transport

import (
	"net/http"
	"net/netip"
	"unique"

	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

// ProxyOptions configure the proxies in front of the server.
type ProxyOptions struct {
	// Trusted are the proxies whose word counts about the addresses of clients. The zero value: none.
	Trusted forwarded.Proxies
	// Protocol is the use of the PROXY protocol on the port that Serve serves. Empty: forwarded.Off.
	Protocol forwarded.Mode
}

const (
	// agentHeader names the library and the version of a SignalR client. Browsers cannot set it for a WebSocket; then a
	// query parameter of the same name counts, or User-Agent.
	agentHeader = "X-SignalR-User-Agent"
	// maxAgent bounds the name of a client, in bytes.
	maxAgent = 128
)

// remote is where a request came from. Proxies and clients have named it: address is as good as the trusted proxies,
// agent is the client's own word.
type remote struct {
	address netip.Addr            // of the client; zero: not known
	isOwn   bool                  // proxies are known, and the address is none of theirs
	agent   unique.Handle[string] // cleaned; the zero value is not valid
}

// remoteOf returns where a request came from.
func (h *Handler) remoteOf(r *http.Request, q query) remote {
	proxies := &h.options.Proxies.Trusted
	agent := r.Header.Get(agentHeader)
	if agent == "" {
		agent = q.value(agentHeader)
	}
	if agent == "" {
		agent = r.UserAgent()
	}
	return h.newRemote(remoteAddr(r.RemoteAddr), r.Header.Values(proxies.Header()), agent)
}

// remoteOfHead is remoteOf for a head that the entrance has read.
func (h *Handler) remoteOfHead(peer netip.Addr, head *head, q query) remote {
	named := head.xForwardedFor
	if h.options.Proxies.Trusted.Header() == forwarded.Forwarded {
		named = head.forwarded
	}
	agent := head.signalRAgent
	if agent == "" {
		agent = q.value(agentHeader)
	}
	if agent == "" {
		agent = head.userAgent
	}
	return h.newRemote(peer, named, agent)
}

// newRemote returns where a request came from that peer sent, with the values of the header of trusted proxies.
func (h *Handler) newRemote(peer netip.Addr, named []string, agent string) remote {
	peer = peer.Unmap()
	proxies := &h.options.Proxies.Trusted
	client := proxies.Client(peer, named)
	return remote{
		address: client, isOwn: proxies.Any() && !proxies.Trusts(client), agent: unique.Make(cleanAgent(agent)),
	}
}

// cleanAgent bounds the name of a client and replaces everything but visible ASCII and spaces: it goes to logs and to
// the screens of operators.
func cleanAgent(agent string) string {
	agent = agent[:min(len(agent), maxAgent)]
	if printable(agent) {
		return agent
	}
	clean := []byte(agent)
	for i, b := range clean {
		if b < ' ' || b > '~' {
			clean[i] = '?'
		}
	}
	return string(clean)
}

// network returns the unit in which the address is counted; the zero value: it is not counted. Where the proxies are
// known, a private address that is none of theirs is counted, too.
func (r *remote) network() netip.Addr {
	if r.isOwn {
		return unitOf(r.address)
	}
	return networkOf(r.address)
}
