package transport

import (
	"net/netip"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// owner is who has a connection, as quotas count it.
type owner struct {
	remote

	organization events.ID
	user         events.ID
}

// ownerOf returns the owner of a connection that came from a place with verified claims.
func ownerOf(claims *authz.Claims, from remote) owner {
	return owner{from, claims.Organization, claims.User}
}

// organizationUser returns the user of the connection.
func (o *owner) organizationUser() organizationUser { return organizationUser{o.organization, o.user} }

// networkOf returns the unit in which the addresses of peers are counted. Loopback and private addresses are not
// counted: load balancers have them.
func networkOf(remote netip.Addr) netip.Addr {
	remote = remote.Unmap()
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	switch {
	case !remote.IsValid(), remote.IsLoopback(), remote.IsPrivate(), remote.IsLinkLocalUnicast(), shared.Contains(remote):
		return netip.Addr{}
	default:
		return unitOf(remote)
	}
}

// unitOf returns the unit of an address: an address of IPv4, and a /64 of IPv6, which one site has.
func unitOf(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	prefix, _ := address.WithZone("").Prefix(64) // 64 bits are in range
	return prefix.Addr()
}

// remoteAddr parses http.Request.RemoteAddr. The zero address is that of another kind of network.
func remoteAddr(text string) netip.Addr {
	address, _ := netip.ParseAddrPort(text)
	return address.Addr().Unmap()
}

// counts counts connections by a key, up to a quota.
type counts[K comparable] struct {
	quota int // 0: no limit, and nothing is counted
	byKey map[K]int
}

func newCounts[K comparable](quota int) counts[K] {
	return counts[K]{quota: max(quota, 0), byKey: map[K]int{}}
}

// full reports whether a key has used up its quota. The zero key never has.
func (c *counts[K]) full(key K) bool { return c.quota > 0 && c.byKey[key] >= c.quota }

func (c *counts[K]) add(key K) {
	if zero := *new(K); c.quota > 0 && key != zero {
		c.byKey[key]++
	}
}

// remove undoes add.
func (c *counts[K]) remove(key K) {
	if c.byKey[key]--; c.byKey[key] <= 0 {
		delete(c.byKey, key)
	}
}
