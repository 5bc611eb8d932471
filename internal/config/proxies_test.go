package config_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
)

func TestCheck_trustedProxies(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*config.Config)
		problem string // empty: none
		warning string // empty: none
	}{
		"networks": {change: func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/8", "2001:db8::1"} }},
		"a name": {
			change:  func(c *config.Config) { c.TrustedProxies = []string{"proxy.example.com"} },
			problem: `trusted_proxies: "proxy.example.com" must be an address or a network`,
		},
		"PROXY protocol without trusted proxies": {
			change:  func(c *config.Config) { c.ProxyProtocol = "required" },
			problem: "proxy_protocol: needs trusted_proxies",
		},
		"PROXY protocol in front of TLS": {
			change: func(c *config.Config) {
				c.TrustedProxies, c.ProxyProtocol, c.TLS.CertFile = []string{"10.0.0.0/8"}, "required", "cert.pem"
			},
			problem: "tls.cert_file: must be set together with tls.key_file", // and no other
		},
		"everybody": {
			change:  func(c *config.Config) { c.TrustedProxies = []string{"0.0.0.0/0"} },
			warning: "trusted_proxies: with 0.0.0.0/0 any client can choose the address",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			c.Auth.HMACSecret = strings.Repeat("s", config.MinSecret)
			test.change(c)
			err := config.CheckServer(c)
			if (err != nil) != (test.problem != "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%v, want %q", err, test.problem)
			}
			warnings := strings.Join(c.Warnings(), "\n")
			if strings.Contains(warnings, "trusted_proxies") != (test.warning != "") ||
				!strings.Contains(warnings, test.warning) {
				t.Errorf("%q, want %q", warnings, test.warning)
			}
		})
	}
}
