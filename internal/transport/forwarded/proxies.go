package forwarded

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the trusted proxies. The value is immutable; any goroutine may use it. The zero value trusts none.
type Proxies struct {
	trusted []netip.Prefix
	header  string // in lower case
}

// The headers that proxies add.
const (
	// XForwardedFor is what nearly all proxies can send, and many send without being asked to.
	XForwardedFor = "x-forwarded-for"
	// Forwarded is the header of RFC 7239.
	Forwarded = "forwarded"
)

// Parse returns the proxies with the given addresses and networks, such as 10.0.0.0/8 or 192.0.2.7. They send the
// addresses of their clients in one header, XForwardedFor or Forwarded. Only one counts: a proxy passes on the other as
// its client has made it up. The error names what is no address of a network.
func Parse(networks []string, header string) (Proxies, error) {
	p := Proxies{header: header}
	for _, network := range networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			address, addressErr := netip.ParseAddr(network)
			if addressErr != nil || address.Zone() != "" {
				return Proxies{}, fmt.Errorf("%q must be an address or a network, such as 192.0.2.7 or 10.0.0.0/8", network)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if mapped := prefix.Addr(); mapped.Is4In6() {
			if prefix.Bits() < 96 {
				return Proxies{}, fmt.Errorf("%q must be written as a network of IPv4", network)
			}
			prefix = netip.PrefixFrom(mapped.Unmap(), prefix.Bits()-96)
		}
		if masked := prefix.Masked(); masked != prefix {
			return Proxies{}, fmt.Errorf("%q has bits behind its length; did you mean %s?", network, masked)
		}
		p.trusted = append(p.trusted, prefix)
	}
	return p, nil
}

// Any reports whether any proxy is trusted.
func (p *Proxies) Any() bool { return len(p.trusted) > 0 }

// Trusts reports whether an address is that of a trusted proxy.
func (p *Proxies) Trusts(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, prefix := range p.trusted {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// Header returns the name of the header that counts, in lower case.
func (p *Proxies) Header() string { return p.header }

// Client returns the address of the client of a request that came from peer. values are the values of the header, in
// the order of the request. The last address that is not that of a trusted proxy counts: everything in front of it is
// the word of a stranger. Where a trusted proxy hides an address or writes something else, its own address counts.
func (p *Proxies) Client(peer netip.Addr, values []string) netip.Addr {
	client := peer.Unmap()
	if len(values) == 0 || !p.Trusts(client) {
		return client
	}
	for _, value := range slices.Backward(values) {
		for rest, more := value, true; more; {
			var element string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, element = rest[:cut], rest[cut+1:]
			} else {
				element, more = rest, false
			}
			next, ok := p.parseElement(element)
			if !ok {
				return client
			}
			if client = next; !p.Trusts(client) {
				return client
			}
		}
	}
	return client
}

// parseElement returns the address in one element of the header.
func (p *Proxies) parseElement(element string) (netip.Addr, bool) {
	if p.header != Forwarded {
		return parseNode(strings.Trim(element, " \t"))
	}
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if strings.EqualFold(name, "for") {
			if quoted, ok := strings.CutPrefix(value, `"`); ok {
				if value, ok = strings.CutSuffix(quoted, `"`); !ok {
					return netip.Addr{}, false
				}
			}
			return parseNode(value)
		}
	}
	return netip.Addr{}, false
}

// parseNode returns the address of a node (RFC 7239 section 6): an address with or without a port. It returns false for
// the word unknown and for obfuscated names. Proxies write addresses of IPv6 with and without brackets.
func parseNode(node string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(node, "["), "]"))
	if err != nil {
		withPort, portErr := netip.ParseAddrPort(node)
		if portErr != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}
