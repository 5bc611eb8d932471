package config

import (
	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

// addProxies adds the keys of the proxies in front of the port for clients.
func (k *keyList) addProxies(c *Config) {
	k.list(&c.TrustedProxies, "trusted_proxies",
		"addresses and networks of the proxies in front of this node, such as 10.0.0.0/8; they name the addresses of "+
			"clients, for quotas.address_connections, /api/connections and the audit log; none: the address of the "+
			"connection counts")
	k.choice(&c.ForwardedHeader, "forwarded_header", forwarded.XForwardedFor,
		[]string{forwarded.XForwardedFor, forwarded.Forwarded},
		"header in which trusted proxies name the client; the last address in it that is not in trusted_proxies "+
			"counts. The other header is ignored: proxies pass it on as clients have made it up")
	k.choice(&c.ProxyProtocol, "proxy_protocol", string(forwarded.Off),
		[]string{string(forwarded.Off), string(forwarded.Optional), string(forwarded.Required)},
		"header of the PROXY protocol, version 1 or 2, at the beginning of connections to listen, in front of TLS; "+
			"it counts only from trusted_proxies; required: all other connections are closed")
}

// Proxies returns the trusted proxies.
func (c *Config) Proxies() (forwarded.Proxies, error) {
	return forwarded.Parse(c.TrustedProxies, c.ForwardedHeader)
}

func (p *problems) checkProxies(c *Config) {
	proxies, err := c.Proxies()
	if err != nil {
		p.add("trusted_proxies", "%v", err)
	}
	if c.ProxyProtocol != string(forwarded.Off) && err == nil && !proxies.Any() {
		p.add("proxy_protocol", "needs trusted_proxies: from any other address the header does not count")
	}
}

// addProxies warns of trust in everybody.
func (w *warnings) addProxies(c *Config) {
	for _, network := range c.TrustedProxies {
		everybody := network == "0.0.0.0/0" || network == "::/0"
		w.add(everybody, "trusted_proxies", "with %s any client can choose the address under which it is counted and logged",
			network)
	}
}
