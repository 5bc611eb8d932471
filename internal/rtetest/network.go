package rtetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Network is an Ethernet switch of a test with hosts, each of which is a network namespace of Linux. An unplugged cable
// behaves as in a data centre: connections do not end and are not refused, but packets are lost. The end of the test
// removes the network.
type Network struct {
	t     testing.TB
	space string // namespace of the switch
	hosts int
}

// redisPort is the port of a Redis server on a host.
const redisPort = "6379"

// Host is a host on a Network.
type Host struct {
	// IP is its address, which is known only inside its network.
	IP string

	network *Network
	space   string // its namespace
	port    string // port of the switch for its cable
}

// MustMakeNetwork makes a network without hosts. It needs the rights of root, and skips the test without them.
func MustMakeNetwork(t testing.TB) *Network {
	t.Helper()
	MustLookPath(t, "ip", "apt-get install iproute2")
	n := &Network{t: t}
	n.space = n.mustAddSpace("switch")
	n.must("-n", n.space, "link", "add", "switch", "type", "bridge")
	n.must("-n", n.space, "link", "set", "switch", "up")
	return n
}

// mustAddSpace makes a namespace. The end of the test removes it.
func (n *Network) mustAddSpace(name string) string {
	n.t.Helper()
	space := fmt.Sprintf("rte-%08x-%s", rand.Uint32(), name)
	switch text, err := ip("netns", "add", space); {
	case err != nil && (strings.Contains(text, "not permitted") || strings.Contains(text, "Permission denied")):
		n.t.Skipf("no right to make a network namespace: %s", text)
	case err != nil:
		n.t.Fatalf("make a network namespace: %s", text)
	}
	n.t.Cleanup(func() {
		if text, err := ip("netns", "delete", space); err != nil {
			n.t.Errorf("remove a network namespace: %s", text)
		}
	})
	n.must("-n", space, "link", "set", "lo", "up")
	return space
}

// MustAddHost connects a new host.
func (n *Network) MustAddHost() *Host {
	n.t.Helper()
	n.hosts++
	h := &Host{IP: fmt.Sprintf("10.77.0.%d", n.hosts), network: n, port: fmt.Sprintf("port%d", n.hosts)}
	h.space = n.mustAddSpace(fmt.Sprintf("host%d", n.hosts))
	n.must("-n", n.space, "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.space)
	n.must("-n", n.space, "link", "set", h.port, "master", "switch")
	n.must("-n", h.space, "addr", "add", h.IP+"/24", "dev", "eth0")
	n.must("-n", h.space, "link", "set", "eth0", "up")
	h.Plug()
	return h
}

// Unplug unplugs the cable of the host.
func (h *Host) Unplug() {
	h.network.t.Helper()
	h.network.must("-n", h.network.space, "link", "set", h.port, "down")
}

// Plug plugs the cable in again.
func (h *Host) Plug() {
	h.network.t.Helper()
	h.network.must("-n", h.network.space, "link", "set", h.port, "up")
}

// Part loses all packets between the host and others. Other pairs of hosts still reach each other.
func (h *Host) Part(others ...*Host) {
	h.network.t.Helper()
	const missingHost = "02:00:00:00:00:01" // an Ethernet address
	for _, o := range others {
		h.network.must("-n", h.space, "neigh", "replace", o.IP, "lladdr", missingHost, "nud", "permanent", "dev", "eth0")
		h.network.must("-n", o.space, "neigh", "replace", h.IP, "lladdr", missingHost, "nud", "permanent", "dev", "eth0")
	}
}

// Join ends Part.
func (h *Host) Join(others ...*Host) {
	h.network.t.Helper()
	for _, o := range others {
		h.network.must("-n", h.space, "neigh", "delete", o.IP, "dev", "eth0")
		h.network.must("-n", o.space, "neigh", "delete", h.IP, "dev", "eth0")
	}
}

// Dial opens a connection from the host. While its cable is unplugged, the host reaches only itself. It may be called
// from any goroutine.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialIn(ctx, "/run/netns/"+h.space, network, address)
}

// place returns the host as the place of a server with this port.
func (h *Host) place(port string) place {
	return place{
		addr: net.JoinHostPort(h.IP, port), host: h, before: []string{"ip", "netns", "exec", h.space}, dial: h.Dial,
	}
}

// must runs ip(8) and fails the test on an error.
func (n *Network) must(args ...string) {
	n.t.Helper()
	if text, err := ip(args...); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, text)
	}
}

// ip runs ip(8).
func ip(args ...string) (text string, err error) {
	out, err := exec.Command("ip", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// place is the place where a server of a test runs.
type place struct {
	addr string
	host *Host // nil: this machine
	// arguments before the command of the server
	before []string
	// dials from the test to the place; nil: as usual
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// loopback returns a place on this machine.
func loopback(t testing.TB) place {
	t.Helper()
	return place{addr: MustFreeAddr(t)}
}

// command returns the command that runs a program at the place.
func (p place) command(program string, args ...string) *exec.Cmd {
	all := append(append(append([]string{}, p.before...), program), args...)
	return exec.Command(all[0], all[1:]...)
}

// ip returns the address of the place.
func (p place) ip() string {
	ip, _, _ := net.SplitHostPort(p.addr)
	return ip
}
