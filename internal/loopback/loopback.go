package loopback

import (
	"net"
	"net/netip"
	"strings"
)

// Is reports whether an address, with or without a port, names this machine only: localhost or a loopback IP address.
func Is(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
