package transport

import (
	"net/netip"
	"testing"
)

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7":            "203.0.113.7",
		"::ffff:203.0.113.7":     "203.0.113.7",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::",
		"2001:db8:1:2:ffff::":    "2001:db8:1:2::",
		"127.0.0.1":              "",
		"10.1.2.3":               "",
		"172.16.0.1":             "",
		"192.168.1.1":            "",
		"100.64.0.1":             "",
		"169.254.1.1":            "",
		"::1":                    "",
		"fd00::1":                "",
		"fe80::1%eth0":           "",
		"2001:db8:1:2::1%ignore": "2001:db8:1:2::",
	} {
		got := networkOf(netip.MustParseAddr(address))
		if text := got.String(); text != want && (want != "" || got.IsValid()) {
			t.Errorf("%s: %s, want %s", address, text, want)
		}
	}
	if networkOf(remoteAddr("not an address")).IsValid() ||
		remoteAddr("192.0.2.1:99") != netip.MustParseAddr("192.0.2.1") {
		t.Error("remote addresses are not parsed")
	}
}

func TestCounts(t *testing.T) {
	c := newCounts[int](2)
	c.add(1)
	if c.full(1) {
		t.Error("full below the quota")
	}
	c.add(1)
	c.add(0)
	c.add(0)
	if !c.full(1) || c.full(2) || c.full(0) {
		t.Errorf("full: %v, %v, %v", c.full(1), c.full(2), c.full(0))
	}
	c.remove(1)
	c.remove(1)
	c.remove(0)
	if c.full(1) || len(c.byKey) != 0 {
		t.Errorf("left: %v", c.byKey)
	}
	if off := newCounts[int](-1); off.full(1) {
		t.Error("a negative quota is a limit")
	}
}
