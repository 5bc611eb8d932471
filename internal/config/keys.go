package config

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/backplane"
)

// keyList is the list of all configuration keys. Its flags have the names of the keys and write into a Config; what they
// write comes from a file, from the environment and from the command line alike.
type keyList struct {
	flags   *pflag.FlagSet
	secrets map[string]bool // keys whose values are not shown
}

// newKeyList makes the table of c, which gets the defaults.
func newKeyList(c *Config) *keyList {
	t := &keyList{flags: pflag.NewFlagSet("configuration", pflag.ContinueOnError), secrets: map[string]bool{}}
	t.flags.SortFlags = false

	t.text(&c.Listen, "listen", ":8080", "address for clients, as host:port")
	t.text(&c.Path, "path", "/rte", "path of the hub")
	t.list(&c.Origins, "origins", "origins whose web pages may connect, such as https://desk.example.com; none: pages of the server's own origin")
	t.secret(&c.Connection.Secret, "connection.secret", "secret of all nodes, from which the key of connection tokens is derived, so that a client may connect to another node than it negotiated with; none: auth.hmac_secret is used for that too")

	t.text(&c.Console.Listen, "console.listen", "127.0.0.1:9090", "address for operators, as host:port; none: there is no such port. Other machines can be let in only with console.token")
	t.secret(&c.Console.Token, "console.token", "bearer token that operators and Prometheus send; the probes /healthz and /readyz need none")

	positive(t.size(&c.Publish.MaxBytes, "publish.max_bytes", 16<<20, "size of the largest request to /api/publish on the operators' port"))
	positive(t.span(&c.Publish.Timeout, "publish.timeout", 10*time.Second, "how long such a request may take, waiting for the server included"))
	positive(t.span(&c.Publish.Window, "publish.window", 10*time.Minute, "how long an Idempotency-Key is remembered"))

	t.secret(&c.Auth.HMACSecret, "auth.hmac_secret", "key of tokens signed with HS256, HS384 or HS512; at least 32 bytes")
	t.secret(&c.Auth.PreviousHMACSecret, "auth.previous_hmac_secret", "key that is accepted besides auth.hmac_secret while it is being replaced")
	t.text(&c.Auth.PublicKeyFile, "auth.public_key_file", "", "PEM file with the public keys of tokens signed with RS, PS, ES or EdDSA algorithms; it is watched")
	t.list(&c.Auth.JWKSURL, "auth.jwks_url", "URLs of key sets (JWKS) for the same algorithms; \"ISSUER URL\" is a set for the tokens of one issuer, which is accepted by that")
	t.list(&c.Auth.Algorithms, "auth.algorithms", "accepted algorithms; none: all that fit the configured keys")
	t.list(&c.Auth.Issuer, "auth.issuer", "accepted issuers (iss); none: any")
	t.list(&c.Auth.Audience, "auth.audience", "accepted audiences (aud); none: any")
	t.span(&c.Auth.Leeway, "auth.leeway", 0, "how much the clocks of token issuers may differ from this one")
	t.toggle(&c.Auth.RequireExpiry, "auth.require_expiry", true, "refuse tokens that never expire")
	positive(t.size(&c.Auth.MaxTokenBytes, "auth.max_token_bytes", 16<<10, "size of the largest accepted token"))
	t.span(&c.Auth.RevocationTTL, "auth.revocation_ttl", 30*24*time.Hour, "how long a revocation counts that does not say until when; no token should live longer")
	t.toggle(&c.Auth.CloseAtExpiry, "auth.close_at_expiry", false, "close connections when their token expires, so that clients come back with a new one; otherwise a token counts when a connection is opened")
	t.span(&c.Auth.ExpiryGrace, "auth.expiry_grace", 30*time.Second, "how long after the expiry that happens")
	t.toggle(&c.Auth.Refresh, "auth.refresh", false, "let clients replace the token of a connection without connecting again, by POST to path + /refresh as clients of .NET 11 do; they are told at negotiation how long their token is good")
	t.text(&c.Auth.Claims.User, "auth.claims.user", "sub", "claim with the id of the user")
	t.text(&c.Auth.Claims.Organization, "auth.claims.organization", "org", "claim with the id of the organization")
	t.text(&c.Auth.Claims.Organizations, "auth.claims.organizations", "orgs", "claim with further organizations")
	t.text(&c.Auth.Claims.Role, "auth.claims.role", "role", "claim with the role: agent, supervisor or service")
	t.text(&c.Auth.Claims.Grants, "auth.claims.grants", "grants", "claim with explicit permissions")
	t.text(&c.Auth.Claims.TokenID, "auth.claims.token_id", "jti", "claim with the id of the token")

	t.choice(&c.Directory.Kind, "directory.kind", "claims", []string{"claims", "file", "redis", "http"}, "where it is written whose entities are: nowhere but in the token, or a file, Redis or an HTTP service")
	t.text(&c.Directory.File, "directory.file", "", "file for directory.kind file, in YAML or JSON; it is watched")
	t.text(&c.Directory.URL, "directory.url", "", "URL for directory.kind http, which is asked for many entities at a time")
	t.secret(&c.Directory.Token, "directory.token", "bearer token for directory.url")
	positive(t.span(&c.Directory.Timeout, "directory.timeout", directory.DefaultReadTimeout, "how long a question to a directory may take"))
	positive(t.count(&c.Directory.Concurrency, "directory.concurrency", directory.DefaultConcurrency, "questions to a directory at a time"))
	positive(t.span(&c.Directory.KnownTTL, "directory.known_ttl", directory.DefaultKnownTTL, "how long an answer is believed"))
	positive(t.span(&c.Directory.UnknownTTL, "directory.unknown_ttl", directory.DefaultUnknownTTL, "how long it is believed that an entity does not exist, or is foreign"))
	positive(t.size(&c.Directory.CacheBytes, "directory.cache_bytes", directory.DefaultCacheBytes, "memory for answers"))
	t.text(&c.Policy.File, "policy.file", "", "file with the rules of who may listen to what; none: the built-in ones; it is watched")

	t.list(&c.Redis.Addresses, "redis.addresses", "Redis, as host:port; several: Sentinels, members of a cluster, or independent servers; none: a single node without Redis")
	t.text(&c.Redis.Username, "redis.username", "", "user of this node on Redis")
	t.secret(&c.Redis.Password, "redis.password", "password of that user")
	t.count(&c.Redis.DB, "redis.db", 0, "number of the database")
	t.toggle(&c.Redis.TLS.Enabled, "redis.tls.enabled", false, "connect to Redis with TLS")
	t.text(&c.Redis.TLS.CAFile, "redis.tls.ca_file", "", "PEM file with the authorities that Redis' certificate is checked against; none: those of the system")
	t.text(&c.Redis.TLS.CertFile, "redis.tls.cert_file", "", "PEM file with the certificate of this node")
	t.text(&c.Redis.TLS.KeyFile, "redis.tls.key_file", "", "PEM file with the key of that certificate")
	t.text(&c.Redis.TLS.ServerName, "redis.tls.server_name", "", "name in Redis' certificate; none: the host of the address")
	t.toggle(&c.Redis.TLS.InsecureSkipVerify, "redis.tls.insecure_skip_verify", false, "UNSAFE: accept any certificate of Redis")
	t.text(&c.Redis.SentinelMaster, "redis.sentinel_master", "", "name of the master that the Sentinels at redis.addresses watch; with redis.sharded those of several, separated by commas")
	t.text(&c.Redis.SentinelUsername, "redis.sentinel_username", "", "user of this node on the Sentinels")
	t.secret(&c.Redis.SentinelPassword, "redis.sentinel_password", "password of that user")
	t.toggle(&c.Redis.Cluster, "redis.cluster", false, "redis.addresses belong to a Redis Cluster")
	t.toggle(&c.Redis.Sharded, "redis.sharded", false, "the servers at redis.addresses, or the masters of redis.sentinel_master, are independent: a lane is at number crc32(lane) mod their count")
	t.count(&c.Redis.Lanes, "redis.lanes", 1, "number of lanes of each organization; publishers must have the same")
	positive(t.span(&c.Redis.Linger, "redis.linger", time.Minute, "how long a lane stays subscribed without listeners"))
	positive(t.span(&c.Redis.Watch, "redis.watch", time.Minute, "how long a lane is listened to until its publishers may be believed to write the journal"))
	positive(t.span(&c.Redis.ProbeInterval, "redis.probe_interval", 500*time.Millisecond, "time between two probes of the connection"))
	positive(t.span(&c.Redis.ProbeTimeout, "redis.probe_timeout", 2*time.Second, "silence after which the connection is replaced"))
	positive(t.span(&c.Redis.DialTimeout, "redis.dial_timeout", 2*time.Second, "how long connecting and authenticating may take, each"))
	positive(t.span(&c.Redis.CommandTimeout, "redis.command_timeout", 2*time.Second, "how long a command may take"))
	positive(t.size(&c.Redis.LaneQueueBytes, "redis.lane_queue_bytes", 8<<20, "how much of one lane may wait for this node"))
	positive(t.size(&c.Redis.TotalQueueBytes, "redis.total_queue_bytes", 256<<20, "how much of all lanes may wait for this node"))

	positive(t.size(&c.Events.MaxBytes, "events.max_bytes", 64<<10, "size of the largest accepted event"))
	t.text(&c.Events.CatalogFile, "events.catalog_file", "", "file with events of your own, in the form of the built-in catalogue (docs/events.md)")
	t.choice(&c.Events.Unknown, "events.unknown", "drop", []string{"drop", "pass"}, "what becomes of events whose type is not in the catalogue: refused and quarantined, or only counted")
	t.choice(&c.Events.Validation, "events.validation", "sample", []string{"off", "sample", "all"}, "how many events are compared with the catalogue; what differs is counted and quarantined, and delivered all the same")
	positive(t.count(&c.Events.SampleEvery, "events.sample_every", 128, "with events.validation sample, how many events come to one that is compared, besides the first of each type"))
	t.count(&c.Events.Quarantine, "events.quarantine", 64, "how many messages that something was wrong with are kept for operators to read, at /api/quarantine")
	t.toggle(&c.Events.Expire, "events.expire", true, "leave out events that are older than their MessageTTLSeconds, by their Timestamp")
	t.span(&c.Events.ClockSkew, "events.clock_skew", 5*time.Second, "how far the clocks of publishers may be behind when events.expire decides")

	t.choice(&c.MessagePack.Keys, "messagepack.keys", "pascal", []string{"pascal", "camel"}, "case of the names of properties for MessagePack clients")
	t.choice(&c.MessagePack.Times, "messagepack.times", "timestamp", []string{"timestamp", "string"}, "how MessagePack clients receive a DateTime; Microsoft's Java client can read only strings")

	positive(t.count(&c.Limits.Connections, "limits.connections", 100_000, "connections of this node; more are answered with 503"))
	positive(t.count(&c.Limits.Subscriptions, "limits.subscriptions", 10_000, "subscriptions of one connection"))
	positive(t.count(&c.Limits.Items, "limits.items", 2_000, "items of one Subscribe or Unsubscribe"))
	positive(t.size(&c.Limits.MessageBytes, "limits.message_bytes", 32<<10, "size of the largest message that a client may send"))
	positive(t.size(&c.Limits.FrameBytes, "limits.frame_bytes", 16<<20, "size of the largest WebSocket frame that a client may send"))
	positive(t.size(&c.Limits.HeaderBytes, "limits.header_bytes", 64<<10, "size of the header of a request, token included"))
	positive(t.size(&c.Limits.OutboxBytes, "limits.outbox_bytes", 1<<20, "how much may wait for a client that does not read, in memory, before its connection is closed"))
	positive(t.span(&c.Limits.OutboxAge, "limits.outbox_age", 30*time.Second, "how long anything may wait for such a client"))

	t.count(&c.Quotas.Connections, "quotas.connections", 0, "connections of one organization to this node; more are answered with 503; 0: no limit")
	t.count(&c.Quotas.Subscriptions, "quotas.subscriptions", 0, "subscriptions of all connections of one organization to this node; 0: no limit")
	t.count(&c.Quotas.Events, "quotas.events", 0, "events in a second that this node delivers for one organization, however many listen; above that its states are held back, where newer ones replace them, and its other events wait; 0: no limit")

	t.count(&c.Memory.GCPercent, "memory.gc_percent", 0, "by how much memory may grow before garbage is collected, as GOGC, which has precedence; 0: 25 while little is allocated, up to 200 while clients come all at once")
	t.size(&c.Memory.Limit, "memory.limit", 0, "memory that the program tries not to exceed by collecting more often, as GOMEMLIMIT, which has precedence; nine tenths of what a container has are a good choice; 0: none")

	positive(t.span(&c.Timeouts.ReadHeader, "timeouts.read_header", 10*time.Second, "how long the header of a request may take"))
	positive(t.span(&c.Timeouts.Negotiate, "timeouts.negotiate", 15*time.Second, "how long after negotiation a client may connect"))
	positive(t.span(&c.Timeouts.Handshake, "timeouts.handshake", 15*time.Second, "how long the handshake of the hub may take"))
	positive(t.span(&c.Timeouts.KeepAlive, "timeouts.keep_alive", 15*time.Second, "time between two pings to a client"))
	positive(t.span(&c.Timeouts.Client, "timeouts.client", 30*time.Second, "silence after which a client is given up"))
	positive(t.span(&c.Timeouts.Send, "timeouts.send", 10*time.Second, "how long one write to a client may take"))
	positive(t.span(&c.Timeouts.Close, "timeouts.close", 5*time.Second, "how long a client may take to confirm the end of its connection"))
	positive(t.span(&c.Timeouts.Invocation, "timeouts.invocation", 10*time.Second, "how long a call of a client may take, waiting included"))
	positive(t.span(&c.Timeouts.Subscribe, "timeouts.subscribe", 2*time.Second, "how long Subscribe waits for Redis to confirm a lane"))
	positive(t.span(&c.Timeouts.Snapshot, "timeouts.snapshot", 500*time.Millisecond, "how long, behind the answer to Subscribe, last states are looked for; the client's next call waits"))

	t.count(&c.Fanout.Shards, "fanout.shards", 0, "goroutines that write to clients; 0: one per processor")
	positive(t.count(&c.Fanout.Backlog, "fanout.backlog", 1<<14, "deliveries that may wait for the clients of one organization; beyond that its events wait where they come from"))
	t.span(&c.Fanout.Rest, "fanout.rest", 20*time.Millisecond, "how long events may be held back at most, where writes to clients take long and can carry several; 0: not at all")
	t.count(&c.Hub.Pool, "hub.pool", 0, "calls of clients that run at once; 0: 32 per processor")

	positive(t.span(&c.Resync.Window, "resync.window", 10*time.Second, "time over which the clients are told that events were lost that cannot be repaired: those without notices by the end of their connection"))
	positive(t.count(&c.Resync.Rate, "resync.rate", 500, "how many of them are told in a second; more take longer than the window"))

	t.choice(&c.Snapshots.Mode, "snapshots.mode", SnapshotsOptIn, []string{SnapshotsOff, SnapshotsOptIn, SnapshotsAlways}, "who gets the last state of what it subscribes to: nobody, clients that ask with features=snapshot, or everybody")
	t.size(&c.Snapshots.MemoryBytes, "snapshots.memory_bytes", backplane.DefaultSnapshotMemory, "memory for last states; without Redis nothing else knows them")

	t.span(&c.Shutdown.Delay, "shutdown.delay", 5*time.Second, "how long a stopping node goes on accepting while /readyz tells the load balancer to choose another")
	t.span(&c.Shutdown.Drain, "shutdown.drain", 20*time.Second, "time over which the connections of a stopping node are closed")
	positive(t.span(&c.Shutdown.Timeout, "shutdown.timeout", 45*time.Second, "after that a stopping node ends in any case"))

	t.choice(&c.Log.Level, "log.level", "info", []string{"debug", "info", "warn", "error"}, "what is worth a line in the log")
	t.choice(&c.Log.Format, "log.format", "json", []string{"json", "console"}, "form of the log: for machines or for people")
	t.count(&c.Log.AuditRate, "log.audit_rate", 100, "entries of each kind in a second that the audit log has room for; the others are counted; 0: there is no audit log")
	return t
}

func (t *keyList) text(target *string, key, byDefault, help string) {
	*target = byDefault
	t.flags.Var((*text)(target), key, help)
}

// secret is a text without a default whose value is never shown.
func (t *keyList) secret(target *string, key, help string) {
	t.text(target, key, "", help)
	t.secrets[key] = true
}

func (t *keyList) list(target *[]string, key, help string) {
	t.flags.Var((*list)(target), key, help)
}

func (t *keyList) choice(target *string, key, byDefault string, among []string, help string) {
	*target = byDefault
	t.flags.Var(choice{target, among}, key, help)
}

func (t *keyList) toggle(target *bool, key string, byDefault bool, help string) {
	*target = byDefault
	t.flags.VarPF((*toggle)(target), key, "", help).NoOptDefVal = "true"
}

func (t *keyList) count(target *int, key string, byDefault int, help string) *pflag.Flag {
	*target = byDefault
	return t.flags.VarPF((*count)(target), key, "", help)
}

func (t *keyList) size(target *int, key string, byDefault int, help string) *pflag.Flag {
	*target = byDefault
	return t.flags.VarPF((*size)(target), key, "", help)
}

func (t *keyList) span(target *time.Duration, key string, byDefault time.Duration, help string) *pflag.Flag {
	*target = byDefault
	return t.flags.VarPF((*span)(target), key, "", help)
}

// positive makes a number one of which 0 has no meaning: it would be taken for the default, or for no bound at all.
func positive(f *pflag.Flag) { f.Value = notZero{f.Value} }

// setDefault replaces the default of a key.
func (t *keyList) setDefault(key, value string) {
	flag := t.flags.Lookup(key)
	if err := flag.Value.Set(value); err != nil {
		panic(fmt.Sprintf("default of %s: %v", key, err))
	}
	flag.DefValue = value
}
