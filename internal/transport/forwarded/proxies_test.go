package forwarded_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/transport/forwarded"
)

func parse(t testing.TB, header string, networks ...string) *forwarded.Proxies {
	t.Helper()
	p, err := forwarded.Parse(networks, header)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestParse_namesWhatIsNoNetwork(t *testing.T) {
	for network, want := range map[string]string{
		"10.0.0.0/8": "", "192.0.2.7": "", "2001:db8::/32": "", "::1": "", "::ffff:10.0.0.0/104": "",
		"":                "must be an address",
		"proxy":           "must be an address",
		"10.0.0.0/33":     "must be an address",
		"fe80::1%eth0":    "must be an address",
		"10.1.2.3/8":      "did you mean 10.0.0.0/8?",
		"::ffff:0:0/90":   "must be written as a network of IPv4",
		"10.0.0.0/8 ":     "must be an address",
		"10.0.0.1/8/8":    "must be an address",
		"2001:db8::1/32":  "did you mean 2001:db8::/32?",
		"300.0.0.1":       "must be an address",
		"10.0.0.0/8,::/0": "must be an address",
	} {
		_, err := forwarded.Parse([]string{network}, forwarded.XForwardedFor)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", network, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", network, err, want)
		}
	}
}

func TestClient_isTheLastAddressThatIsNotTrusted(t *testing.T) {
	many := strings.Repeat("10.0.0.1, ", 10_000)
	for name, test := range map[string]struct {
		header string
		peer   string
		values []string
		want   string
	}{
		"no header":         {peer: "10.0.0.1", want: "10.0.0.1"},
		"one proxy":         {peer: "10.0.0.1", values: []string{"198.51.100.7"}, want: "198.51.100.7"},
		"two proxies":       {peer: "10.0.0.1", values: []string{"198.51.100.7, 10.0.0.2"}, want: "198.51.100.7"},
		"two lines":         {peer: "10.0.0.1", values: []string{"198.51.100.7", "10.0.0.2"}, want: "198.51.100.7"},
		"untrusted peer":    {peer: "203.0.113.1", values: []string{"198.51.100.7"}, want: "203.0.113.1"},
		"made up by client": {peer: "10.0.0.1", values: []string{"1.1.1.1, 198.51.100.7"}, want: "198.51.100.7"},
		"made up as a proxy": {
			peer: "10.0.0.1", values: []string{"1.1.1.1, 10.9.9.9, 198.51.100.7"},
			want: "198.51.100.7",
		},
		"garbage by client":  {peer: "10.0.0.1", values: []string{"\x00<script>, 198.51.100.7"}, want: "198.51.100.7"},
		"garbage by a proxy": {peer: "10.0.0.1", values: []string{"198.51.100.7, unknown"}, want: "10.0.0.1"},
		"empty":              {peer: "10.0.0.1", values: []string{""}, want: "10.0.0.1"},
		"empty element":      {peer: "10.0.0.1", values: []string{"198.51.100.7,"}, want: "10.0.0.1"},
		"only proxies":       {peer: "10.0.0.1", values: []string{"10.0.0.3, 10.0.0.2"}, want: "10.0.0.3"},
		"many": {
			peer: "10.0.0.1", values: []string{many + "198.51.100.7, 10.0.0.2"},
			want: "198.51.100.7",
		},
		"with port":        {peer: "10.0.0.1", values: []string{"198.51.100.7:4711"}, want: "198.51.100.7"},
		"IPv6":             {peer: "10.0.0.1", values: []string{"2001:db8::7"}, want: "2001:db8::7"},
		"IPv6 in brackets": {peer: "10.0.0.1", values: []string{"[2001:db8::7]"}, want: "2001:db8::7"},
		"IPv6 with port":   {peer: "10.0.0.1", values: []string{"[2001:db8::7]:4711"}, want: "2001:db8::7"},
		"IPv6 with zone":   {peer: "10.0.0.1", values: []string{"fe80::7%eth0"}, want: "fe80::7"},
		"IPv4 as IPv6":     {peer: "::ffff:10.0.0.1", values: []string{"::ffff:198.51.100.7"}, want: "198.51.100.7"},
		"RFC 7239": {
			header: "forwarded", peer: "10.0.0.1", values: []string{"for=198.51.100.7"},
			want: "198.51.100.7",
		},
		"RFC 7239, parameters": {
			header: "forwarded", peer: "10.0.0.1",
			values: []string{`for=1.1.1.1, proto=https;For="198.51.100.7:80";by=10.0.0.1`},
			want:   "198.51.100.7",
		},
		"RFC 7239, IPv6": {
			header: "forwarded", peer: "10.0.0.1", values: []string{`for="[2001:db8::7]:4711"`},
			want: "2001:db8::7",
		},
		"RFC 7239, obfuscated": {
			header: "forwarded", peer: "10.0.0.1", values: []string{`for=_hidden`},
			want: "10.0.0.1",
		},
		"RFC 7239, no for": {
			header: "forwarded", peer: "10.0.0.1", values: []string{`proto=https`},
			want: "10.0.0.1",
		},
		"RFC 7239, open quote": {
			header: "forwarded", peer: "10.0.0.1", values: []string{`for="198.51.100.7`},
			want: "10.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			header := test.header
			if header == "" {
				header = forwarded.XForwardedFor
			}
			p := parse(t, header, "10.0.0.0/8")
			if got := p.Client(netip.MustParseAddr(test.peer), test.values); got != netip.MustParseAddr(test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// FuzzClient checks that a client cannot choose its address: the proxy's own address counts, or one that a trusted
// proxy wrote.
func FuzzClient(f *testing.F) {
	f.Add("1.1.1.1, 10.0.0.2", true)
	f.Add(`for="[::1]:80";by=x, for=unknown`, false)
	f.Fuzz(func(t *testing.T, made string, x bool) {
		header, last := forwarded.Forwarded, "for=198.51.100.7"
		if x {
			header, last = forwarded.XForwardedFor, "198.51.100.7"
		}
		p := parse(t, header, "10.0.0.0/8")
		if got := p.Client(netip.MustParseAddr("10.0.0.1"), []string{made + "," + last}); got.String() != "198.51.100.7" {
			t.Errorf("%q: %s", made, got)
		}
		p.Client(netip.MustParseAddr("10.0.0.1"), []string{made})
	})
}
