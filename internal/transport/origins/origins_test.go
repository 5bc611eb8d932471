package origins_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/transport/origins"
)

// Origins of applications could not be configured, and https://*.example.com could be and never matched.
func TestSet_Allows(t *testing.T) {
	set, err := origins.Parse([]string{
		"https://Desk.example.com", "http://localhost:3000", "https://*.example.org", "https://*.example.net:8443",
		"capacitor://localhost", "chrome-extension://abcdefghijklmnop", "app://wallboard", "null", "http://[::1]:8080",
	})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://desk.example.com":            true,
		"HTTPS://DESK.EXAMPLE.COM":            true,
		"http://desk.example.com":             false,
		"https://desk.example.com:8443":       false,
		"http://localhost:3000":               true,
		"http://localhost":                    false,
		"https://a.example.org":               true,
		"https://a.b.example.org":             true,
		"https://example.org":                 false,
		"https://.example.org":                false,
		"https://aexample.org":                false,
		"https://a.example.org:8443":          false,
		"https://a.example.org.evil.com":      false,
		"https://evil.com/.example.org":       false,
		"https://evil.com#.example.org":       false,
		"https://evil.com?.example.org":       false,
		`https://evil.com\.example.org`:       false,
		"https://evil.com .example.org":       false,
		"https://evil.com%2f.example.org":     false,
		"https://*.example.org":               false,
		"https://a_b-1.example.org":           true,
		"https://evil.com:1@a.example.org":    false,
		"http://a.example.org":                false,
		"https://a.example.net:8443":          true,
		"https://a.example.net":               false,
		"capacitor://localhost":               true,
		"ionic://localhost":                   false,
		"chrome-extension://abcdefghijklmnop": true,
		"chrome-extension://other":            false,
		"app://wallboard":                     true,
		"null":                                true,
		"http://[::1]:8080":                   true,
		"":                                    false,
		"*":                                   false,
	} {
		if got := set.Allows(origin); got != want {
			t.Errorf("%q: %v, want %v", origin, got, want)
		}
	}
	if none := (origins.Set{}); !none.Empty() || none.Allows("null") || set.Empty() {
		t.Error("the empty set is not empty")
	}
}

// An origin that no browser sends is an error in the configuration.
func TestParse_refusesWhatNeverMatches(t *testing.T) {
	for _, origin := range []string{
		"https://a.example.com:0", "https://a.example.com:99999", "https://a.example.com:08443", "https://[0:0::1]:8080",
		"https://[::ffff:127.0.0.1]", "", "*", "desk.example.com", "https://", "https:///", "https://a.example.com/",
		"https://a.example.com/x",
		"https://a.example.com?x", "https://a.example.com#x", "https://user@a.example.com", "https://*", "https://*.",
		"https://a.*.example.com", "https://*a.example.com", "https://**.example.com", "https://a.example.com:443",
		"http://a.example.com:80", "https://*.example.com:443", "https://b\u00fccher.example", "https://a b.example.com",
		"https://a.example.com:port", "mailto:a@example.com", "://a",
	} {
		if _, err := origins.Parse([]string{"https://good.example.com", origin}); err == nil {
			t.Errorf("%q is accepted", origin)
		} else if !strings.Contains(err.Error(), origin) {
			t.Errorf("%q is not named: %v", origin, err)
		}
	}
}
