package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/loopback"
	"github.com/rte-server/rte-server/internal/subscriptions"
	"github.com/rte-server/rte-server/internal/transport/origins"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// MinSecret is the recommended length of a secret, in bytes.
const MinSecret = 32

// problems collects the errors of a configuration.
type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// CheckServer returns the errors that keep a server from running with a configuration. Each begins with a key.
// CheckServer opens no file: node.TryParts does.
func CheckServer(c *Config) error {
	var p problems
	p.checkAddresses(c)
	p.checkPortTLS(c)
	p.checkAuth(c)
	p.checkTokens(&c.Auth)
	p.checkRedis(&c.Redis)
	p.checkTimes(c)
	p.checkBounds(c)
	p.checkAdmission(&c.Admission)
	p.checkTracing(&c.Tracing)
	if len(c.Redis.Addresses) > 0 && c.Auth.HMACSecret == "" && c.Connection.Secret == "" {
		p.add("connection.secret",
			"must be set, and the same on all nodes, where there is no auth.hmac_secret: otherwise one node refuses clients "+
				"that negotiated with another")
	}
	for key, secret := range map[string]string{
		"connection.secret": c.Connection.Secret, "connection.previous_secret": c.Connection.PreviousSecret,
	} {
		if secret != "" && len(secret) < MinSecret {
			p.add(key, "must have at least %d bytes", MinSecret)
		}
	}
	return errors.Join(p...)
}

// CheckDev returns the errors that keep a development server from running with a configuration.
func CheckDev(c *Config) error {
	var p problems
	p.checkAddresses(c)
	p.checkTimes(c)
	p.checkBounds(c)
	if len(c.Redis.Addresses) > 0 {
		p.add("redis.addresses", "\"dev\" runs without Redis; use \"serve\"")
	}
	p.checkTokens(&c.Auth)
	if c.Auth.HMACSecret == "" && (c.Auth.PublicKeyFile != "" || len(c.Auth.JWKSURL) > 0) {
		p.add("auth.hmac_secret", "must be set: \"dev\" signs its own tokens")
	}
	return errors.Join(p...)
}

// CheckBackplane returns the errors that keep a command from publishing with a configuration.
func CheckBackplane(c *Config) error {
	var p problems
	p.checkRedis(&c.Redis)
	if len(c.Redis.Addresses) == 0 {
		p.add("redis.addresses", "must be set: without Redis no other process can be reached")
	}
	return errors.Join(p...)
}

// CheckSigner returns the errors that keep a command from signing tokens with a configuration.
func CheckSigner(c *Config) error {
	var p problems
	if c.Auth.HMACSecret == "" {
		p.add("auth.hmac_secret", "must be set: it signs the token")
	}
	p.checkTokens(&c.Auth)
	return errors.Join(p...)
}

func (p *problems) checkAddresses(c *Config) {
	if err := checkAddress(c.Listen); err != nil {
		p.add("listen", "%v", err)
	}
	if !strings.HasPrefix(c.Path, "/") || strings.Trim(c.Path, "/") == "" {
		p.add("path", "must begin with a slash and have a name")
	} else if !isReachable(c.Path) {
		p.add("path",
			"must have no ?, #, backslash or newline, and no element that is empty, . or ..: no client requests such a path")
	}
	p.checkProxies(c)
	p.checkRelay(c)
	p.checkHealthPath(c)
	if _, err := origins.Parse(c.Origins); err != nil {
		p.add("origins", "%v", err)
	}
	if _, err := transports.Parse(c.Transports); err != nil {
		p.add("transports", "%v", err)
	}
	if c.Console.Token == "" && (c.Console.ReadToken != "" || c.Console.PublishToken != "") {
		p.add("console.token", "must be set for console.read_token and console.publish_token to have a meaning")
	}
	if c.Console.Listen == "" {
		return
	}
	if overlap(c.Listen, c.Console.Listen) {
		p.add("console.listen", "must have another port than listen (%s)", c.Listen)
	}
	if err := checkAddress(c.Console.Listen); err != nil {
		p.add("console.listen", "%v", err)
	} else if !loopback.Is(c.Console.Listen) && c.Console.Token == "" {
		p.add("console.token",
			"must be set where console.listen (%s) can be reached from other machines", c.Console.Listen)
	}
}

// checkHealthPath checks health.path. The paths of the hub are the server's own.
func (p *problems) checkHealthPath(c *Config) {
	path := strings.TrimRight(strings.ToLower(c.Health.Path), "/")
	hub := strings.TrimRight(strings.ToLower(c.Path), "/")
	switch {
	case c.Health.Path == "":
	case !strings.HasPrefix(c.Health.Path, "/") || path == "" || !isReachable(c.Health.Path):
		p.add("health.path", "must begin with a slash and be a plain path, such as /health")
	case path == hub || strings.HasPrefix(path, hub+"/"):
		p.add("health.path", "must lie outside path (%s)", c.Path)
	}
}

// isReachable reports whether a client that has the path in its URL requests this path. It cuts the path at a question
// mark or a hash, reads a backslash as a slash, and resolves dots; proxies merge slashes.
func isReachable(path string) bool {
	if strings.ContainsAny(path, `?#\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return false
	}
	for element := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return !strings.HasPrefix(path, "//")
}

// overlap reports whether only one of two listeners can have its address. One for all addresses of the machine takes
// the port on each of them. Port 0 is any free one.
func overlap(one, other string) bool {
	host1, port1, err1 := net.SplitHostPort(one)
	host2, port2, err2 := net.SplitHostPort(other)
	if err1 != nil || err2 != nil || port1 != port2 || strings.Trim(port1, "0") == "" {
		return false
	}
	everywhere := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return everywhere(host1) || everywhere(host2) || strings.EqualFold(host1, host2)
}

// checkAddress checks the address of a listener.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("must be host:port, or :port for all addresses of this machine")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("must have a port between 0 and 65535")
	}
	return nil
}

func (p *problems) checkAuth(c *Config) {
	if c.Auth.HMACSecret == "" && c.Auth.PublicKeyFile == "" && len(c.Auth.JWKSURL) == 0 {
		p.add("auth.hmac_secret",
			"must be set, or auth.public_key_file or auth.jwks_url: the server needs a key to verify tokens")
	}
	if c.Auth.HMACSecret == "" && c.Auth.PreviousHMACSecret != "" {
		p.add("auth.previous_hmac_secret", "has no meaning without auth.hmac_secret")
	}
	if c.Auth.RevocationTTL == 0 {
		p.add("auth.revocation_ttl", "must not be 0: a revocation that ends at once revokes nothing")
	}
	if c.Directory.Kind == "file" && c.Directory.File == "" {
		p.add("directory.file", "must be set for directory.kind file")
	}
	if c.Directory.Kind != "file" && c.Directory.File != "" {
		p.add("directory.kind", "must be file for directory.file to have a meaning")
	}
	if c.Directory.Kind == "http" && c.Directory.URL == "" {
		p.add("directory.url", "must be set for directory.kind http")
	}
	if c.Directory.Kind == "redis" && len(c.Redis.Addresses) == 0 {
		p.add("redis.addresses", "must be set for directory.kind redis")
	}
	if c.Directory.Kind != "http" && (c.Directory.URL != "" || c.Directory.Token != "") {
		p.add("directory.kind", "must be http for directory.url and directory.token to have a meaning")
	}
}

func (p *problems) checkRedis(r *Redis) {
	several := r.SentinelMaster != "" || r.Cluster || r.Sharded
	switch {
	case len(r.Addresses) == 0 && (several || r.Username != "" || r.Password != "" || r.DB != 0 || r.TLS.Enabled):
		p.add("redis.addresses", "must be set for the other keys of Redis to have a meaning")
	case len(r.Addresses) > 1 && !several:
		p.add("redis.addresses", "several need redis.sentinel_master, redis.cluster or redis.sharded")
	}
	for _, address := range r.Addresses {
		if err := checkAddress(address); err != nil {
			p.add("redis.addresses", "%q %v", address, err)
		}
	}
	if r.Cluster && r.SentinelMaster != "" {
		p.add("redis.sentinel_master", "has no meaning with redis.cluster")
	}
	if r.Cluster && r.Sharded {
		p.add("redis.sharded", "has no meaning with redis.cluster")
	}
	if r.Cluster && r.DB != 0 {
		p.add("redis.db", "must be 0 with redis.cluster")
	}
	if err := checkPrefix(r.Prefix); err != nil {
		p.add("redis.prefix", "%v", err)
	}
	if r.Lanes == 0 {
		p.add("redis.lanes", "must be at least 1")
	}
	tls := &r.TLS
	if !tls.Enabled && (tls.CAFile != "" ||
		tls.CertFile != "" || tls.KeyFile != "" || tls.ServerName != "" || tls.InsecureSkipVerify) {
		p.add("redis.tls.enabled", "must be true for the other keys of redis.tls to have a meaning")
	}
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		p.add("redis.tls.cert_file", "must be set together with redis.tls.key_file")
	}
}

// checkPrefix checks the prefix of names on Redis. It must be plain in patterns of ACL rules and in hash tags, and no
// rule for one prefix may match the names of another.
func checkPrefix(prefix string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:", r)
	}
	switch {
	case len(prefix) > backplane.MaxPrefix || len(prefix) < 2 || !strings.HasSuffix(prefix, ":"):
		return fmt.Errorf("must end with a colon, such as \"staging:\", and have 2 to %d characters", backplane.MaxPrefix)
	case strings.ContainsFunc(prefix, func(r rune) bool { return !plain(r) }):
		return errors.New("must have only letters, digits and the characters -_.: in it")
	case prefix != backplane.DefaultPrefix && strings.HasPrefix(prefix, backplane.DefaultPrefix):
		return errors.New("must not begin with rte:, whose rules would match it: \"staging:rte:\" is good")
	}
	return nil
}

func (p *problems) checkTimes(c *Config) {
	if level := c.Compression.Level; level > 9 {
		p.add("compression.level", "must be 1 to 9")
	}
	if c.Timeouts.Client <= c.Timeouts.KeepAlive {
		p.add("timeouts.client", "must be longer than timeouts.keep_alive (%s)", (*span)(&c.Timeouts.KeepAlive))
	}
	if c.Timeouts.Unconfirmed < c.Timeouts.Send {
		p.add("timeouts.unconfirmed", "must be at least timeouts.send (%s): a client that stops reading confirms nothing",
			(*span)(&c.Timeouts.Send))
	}
	if limit := 2*c.Timeouts.ReadHeader + c.Timeouts.Send; c.Timeouts.Hold >= limit {
		p.add(
			"timeouts.hold", "must be shorter than timeouts.send and twice timeouts.read_header together (%s)", (*span)(&limit),
		)
	}
	if c.Shutdown.Timeout < c.Shutdown.Delay+c.Shutdown.Drain {
		p.add("shutdown.timeout", "must be at least shutdown.delay and shutdown.drain together")
	}
	if c.Rebalance.Below >= c.Rebalance.Above {
		p.add("rebalance.below", "must be below rebalance.above (%d)", c.Rebalance.Above)
	}
	if c.Rebalance.Rate > 100 {
		p.add("rebalance.rate", "must be at most 100")
	}
	if c.Redis.ProbeTimeout <= c.Redis.ProbeInterval {
		p.add("redis.probe_timeout", "must be longer than redis.probe_interval (%s)", (*span)(&c.Redis.ProbeInterval))
	}
}

const (
	// maxEventBytes bounds events.max_bytes. A lane holds back at most 4 MiB while it reads missed events.
	maxEventBytes = 2 << 20
	// burstEvents is the number of events of the maximum size for which a queue must have room. With less room, a burst of
	// large events closes clients that read, or overflows lanes.
	burstEvents = 4
)

// checkBounds checks numbers against their bounds and against each other.
func (p *problems) checkBounds(c *Config) {
	if c.Fanout.Shards > subscriptions.MaxShards {
		p.add("fanout.shards", "must be at most %d", subscriptions.MaxShards)
	}
	if c.Events.MaxBytes > maxEventBytes {
		p.add("events.max_bytes", "must be at most %d", maxEventBytes)
	}
	if c.Limits.PendingBytes < c.Limits.MessageBytes {
		p.add("limits.pending_bytes", "must be at least limits.message_bytes (%d)", c.Limits.MessageBytes)
	}
	// Every part that an event passes must have room for it. Where several wait, it must have room for a burst.
	burst := burstEvents * c.Events.MaxBytes
	for _, bound := range []struct {
		key        string
		value, min int
	}{
		{"limits.outbox_bytes", c.Limits.OutboxBytes, burst},
		{"redis.lane_queue_bytes", c.Redis.LaneQueueBytes, burst},
		{"redis.total_queue_bytes", c.Redis.TotalQueueBytes, burstEvents * burst}, // an organization may use a quarter
		{"publish.max_bytes", c.Publish.MaxBytes, c.Events.MaxBytes},
	} {
		if bound.value < bound.min {
			p.add(bound.key, "must be at least %d for events.max_bytes (%d)", bound.min, c.Events.MaxBytes)
		}
	}
	if memory := c.Snapshots.MemoryBytes; memory != 0 && memory < c.Events.MaxBytes {
		p.add("snapshots.memory_bytes", "must be 0 or at least %d for events.max_bytes", c.Events.MaxBytes)
	}
}
