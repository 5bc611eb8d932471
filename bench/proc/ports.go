package proc

import (
	"fmt"
	"net"
	"net/netip"
)

// FreePorts returns unused ports of 127.0.0.1.
func FreePorts(n int) ([]netip.AddrPort, error) {
	var ports []netip.AddrPort
	for range n {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, fmt.Errorf("find free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		ports = append(ports, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	}
	return ports, nil
}
