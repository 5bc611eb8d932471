// Package origins owns the origins of web pages that may use the hub: how they are written in the configuration, and
// which origins of browsers they match. The check of the configuration and the server use the same code. It imports
// nothing of ours.
package origins

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Set is a set of allowed origins. It is immutable; any goroutine may use it. The zero value allows none.
type Set struct {
	exact    map[string]struct{}
	wildcard []wildcard
}

// wildcard matches the subdomains of a host, at any depth, and not the host itself.
type wildcard struct {
	scheme string // with "://"
	suffix string // the host behind the asterisk, with its dot and port
}

// Parse returns the set of the given origins. An origin has the form that browsers send, in any case:
//
//   - https://desk.example.com or http://localhost:3000,
//   - https://*.example.com for all subdomains,
//   - capacitor://localhost, chrome-extension://ID, app://NAME and other schemes of applications,
//   - null, for sandboxed pages and files.
//
// The error names an origin that no browser ever sends.
func Parse(origins []string) (Set, error) {
	set := Set{exact: make(map[string]struct{}, len(origins))}
	for _, origin := range origins {
		lower := strings.ToLower(origin)
		if lower == "null" {
			set.exact[lower] = struct{}{}
			continue
		}
		if err := check(lower); err != nil {
			return Set{}, fmt.Errorf("origin %q %w", origin, err)
		}
		scheme, host, _ := strings.Cut(lower, "://")
		if suffix, ok := strings.CutPrefix(host, "*"); ok {
			set.wildcard = append(set.wildcard, wildcard{scheme + "://", suffix})
		} else {
			set.exact[lower] = struct{}{}
		}
	}
	return set, nil
}

// check returns an error if no browser sends the origin, which is in lower case.
func check(origin string) error {
	const form = "must be like https://desk.example.com, https://*.example.com, app://name or null"
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		return fmt.Errorf("%s", form)
	}
	host = strings.TrimPrefix(host, "*.")
	u, err := url.Parse(scheme + "://" + host)
	switch {
	case err != nil, u.Scheme != scheme, u.Host != host, u.Hostname() == "":
		return fmt.Errorf("%s, without a path", form)
	case strings.ContainsRune(host, '*'):
		return fmt.Errorf("may have an asterisk in place of its first label only: %s", form)
	case strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return fmt.Errorf("must have its host in ASCII, as browsers send it (xn--...)")
	case !isPort(u.Port()):
		return fmt.Errorf("must have a port between 1 and 65535, without leading zeros")
	case strings.HasPrefix(host, "[") && !isCanonical(u.Hostname()):
		return fmt.Errorf("must have its IPv6 address in the shortest form, as browsers send it, such as [::1]")
	case scheme == "https" && u.Port() == "443", scheme == "http" && u.Port() == "80":
		return fmt.Errorf("must not have the default port, which browsers leave out")
	}
	return nil
}

// isPort reports whether browsers send the port. An origin need not have one.
func isPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && number != 0 && port == strconv.FormatUint(number, 10)
}

// isCanonical reports whether an IPv6 address has the form that browsers send: the shortest one, without a zone.
// Browsers write an address that embeds one of IPv4 without dots.
func isCanonical(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && (ip.Is4In6() || ip.String() == host) && !strings.Contains(host, ".")
}

// Empty reports whether the set allows no origin.
func (s *Set) Empty() bool { return len(s.exact) == 0 && len(s.wildcard) == 0 }

// Allows reports whether the set has the origin that a browser sent.
func (s *Set) Allows(origin string) bool {
	origin = strings.ToLower(origin)
	if _, ok := s.exact[origin]; ok {
		return true
	}
	for _, w := range s.wildcard {
		rest, isScheme := strings.CutPrefix(origin, w.scheme)
		label, isSubdomain := strings.CutSuffix(rest, w.suffix)
		if isScheme && isSubdomain && label != "" && strings.IndexFunc(label, isForeign) < 0 {
			return true
		}
	}
	return false
}

// isForeign reports whether no name of a host has the character. Behind # or ? or a backslash, a URL has another host
// than its end suggests.
func isForeign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}
