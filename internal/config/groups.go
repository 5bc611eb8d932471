package config

import (
	"time"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/backplane"
)

// addPorts adds the keys of the two ports and of publishing over HTTP.
func (k *keyList) addPorts(c *Config) {
	k.text(&c.Listen, "listen", ":8080", "address for clients, as host:port")
	k.text(&c.Path, "path", "/rte", "path of the hub")
	k.list(&c.Origins, "origins",
		"origins whose web pages may read the answers to HTTP requests such as negotiate (CORS): "+
			"https://desk.example.com, https://*.example.com, app://name or null; "+
			"none: only pages of the server's own origin")
	k.list(&c.Transports, "transports",
		"transports of clients, any of WebSockets, ServerSentEvents and LongPolling; clients try them in this order, the "+
			"next one if one fails; none: WebSockets")
	k.addProxies(c)
	k.secret(&c.Connection.Secret, "connection.secret",
		"secret that all nodes share; the key of connection tokens is derived from it, so that a client may "+
			"negotiate with one node and connect to another; none: auth.hmac_secret")
	k.secret(&c.Connection.PreviousSecret, "connection.previous_secret",
		"second secret, accepted during the rotation of connection.secret; none: auth.previous_hmac_secret, where "+
			"there is no connection.secret")

	k.portTLS(&c.TLS, "tls", "the port for clients")

	k.text(&c.Console.Listen, "console.listen", "127.0.0.1:9090",
		"address of the operator port, as host:port; empty: no operator port. Other machines can use it only "+
			"with console.token")
	k.secret(&c.Console.Token, "console.token",
		"bearer token of operators and Prometheus; the probes /healthz and /readyz need none")
	k.secret(&c.Console.ReadToken, "console.read_token",
		"bearer token for reading only: metrics, lists, explanations and traces, but neither profiles nor payloads")
	k.secret(&c.Console.PublishToken, "console.publish_token", "bearer token for POST /api/publish only")
	k.portTLS(&c.Console.TLS, "console.tls", "the operator port")

	k.text(&c.Health.Path, "health.path", "",
		"path on the port for clients that answers as /readyz does, without reasons, for load balancers that cannot "+
			"reach the operator port; none: off")

	positive(k.size(&c.Publish.MaxBytes, "publish.max_bytes", 16<<20,
		"size of the largest request to /api/publish on the operator port"))
	positive(k.span(&c.Publish.Timeout, "publish.timeout", 10*time.Second,
		"time limit of such a request, its waiting included"))
	positive(k.span(&c.Publish.Window, "publish.window", 10*time.Minute,
		"how long the server remembers an Idempotency-Key"))
}

// addAuth adds the keys of tokens.
func (k *keyList) addAuth(c *Auth) {
	k.secret(&c.HMACSecret, "auth.hmac_secret",
		"key of tokens signed with HS256, HS384 or HS512; at least 32 bytes")
	k.secret(&c.PreviousHMACSecret, "auth.previous_hmac_secret",
		"second key, accepted during the rotation of auth.hmac_secret")
	k.text(&c.PublicKeyFile, "auth.public_key_file", "",
		"PEM file with the public keys of tokens signed with RS, PS, ES or EdDSA algorithms; the server "+
			"watches it")
	k.list(&c.JWKSURL, "auth.jwks_url",
		"URLs of key sets (JWKS) for the same algorithms; \"ISSUER URL\" binds a set to the tokens of one "+
			"issuer, which is then accepted")
	k.list(&c.Algorithms, "auth.algorithms", "accepted algorithms; none: all that fit the configured keys")
	k.list(&c.Issuer, "auth.issuer",
		"accepted issuers (iss); none: any. {tenantid} in an issuer stands for each of auth.tenants")
	k.list(&c.Tenants, "auth.tenants", "tenants whose issuers are accepted, for issuers with {tenantid}")
	k.list(&c.Audience, "auth.audience", "accepted audiences; none: any")
	k.list(&c.AudienceClaims, "auth.audience_claims",
		"claims that may hold the audience: aud, client_id, azp; none: aud")
	k.list(&c.RequiredScopes, "auth.required_scopes", "scopes (scope or scp) that a token must have, all of them")
	k.list(&c.RequiredClaims, "auth.required_claims",
		"claims that a token must have, all of them, as CLAIM=VALUE, such as token_use=access; a list must "+
			"contain the value")
	k.span(&c.Leeway, "auth.leeway", time.Minute,
		"tolerated difference between the clocks of token issuers and of this node")
	k.toggle(&c.RequireExpiry, "auth.require_expiry", true, "refuse tokens without an expiry")
	positive(k.size(&c.MaxTokenBytes, "auth.max_token_bytes", 16<<10, "size of the largest accepted token"))
	k.span(&c.RevocationTTL, "auth.revocation_ttl", 30*24*time.Hour,
		"lifetime of a revocation without an end; no token should live longer")
	k.toggle(&c.CloseAtExpiry, "auth.close_at_expiry", false,
		"close a connection when its token expires, so that the client returns with a new one; otherwise a "+
			"token counts only when a connection opens")
	k.span(&c.ExpiryGrace, "auth.expiry_grace", 30*time.Second, "time between the expiry and the close")
	k.toggle(&c.Refresh, "auth.refresh", false,
		"let clients replace the token of a connection without reconnecting, by POST to path + /refresh as "+
			"clients of .NET 11 do; the answer to negotiate then has the lifetime of the token")
	k.toggle(&c.WebSocketTicket, "auth.websocket_ticket", false,
		"put the sealed claims into the connection token of negotiate, which then opens its connection without a "+
			"token in the URL, once and within timeouts.negotiate; clients may still show a token")
	k.text(&c.Claims.User, "auth.claims.user", "sub",
		"claim with the id of the user. Names separated by dots locate a nested claim, such as "+
			"realm_access.roles; a claim of the whole name comes first; \\. is a dot in a name")
	k.text(&c.Claims.Organization, "auth.claims.organization", "org", "claim with the id of the organization")
	k.text(&c.Claims.Organizations, "auth.claims.organizations", "orgs", "claim with further organizations")
	k.text(&c.Claims.Role, "auth.claims.role", "role",
		"claim with the role: a string, a list of strings, or an object whose member names are the roles")
	k.text(&c.Claims.Grants, "auth.claims.grants", "grants", "claim with explicit permissions")
	k.text(&c.Claims.TokenID, "auth.claims.token_id", "jti", "claim with the id of the token")
	k.list(&c.Roles, "auth.roles",
		"roles for values of the role claim, as VALUE=ROLE; the first entry whose value the token has "+
			"decides. None: the values are agent, supervisor and service")
	k.choice(&c.DefaultRole, "auth.default_role", "auto", []string{"auto", "agent", "supervisor", "service", "none"},
		"role of a token without a known role; none: it is refused; auto: agent if the claim is absent, "+
			"refused if it has only unknown values")
}

// addDirectory adds the keys of the directory and the policy.
func (k *keyList) addDirectory(c *Config) {
	d := &c.Directory
	k.choice(&d.Kind, "directory.kind", "claims", []string{"claims", "file", "redis", "http"},
		"source of the organization and the members of each entity: only the token, a file, Redis, or an "+
			"HTTP service")
	k.text(&d.File, "directory.file", "", "YAML or JSON file for directory.kind file; the server watches it")
	k.text(&d.URL, "directory.url", "", "URL for directory.kind http; one request asks for many entities")
	k.secret(&d.Token, "directory.token", "bearer token for directory.url")
	positive(k.span(&d.Timeout, "directory.timeout", directory.DefaultReadTimeout,
		"time limit of one read of the directory"))
	positive(k.count(&d.Concurrency, "directory.concurrency", directory.DefaultConcurrency,
		"concurrent reads of the directory"))
	positive(k.span(&d.KnownTTL, "directory.known_ttl", directory.DefaultKnownTTL,
		"how long the cache keeps an entity"))
	positive(k.span(&d.UnknownTTL, "directory.unknown_ttl", directory.DefaultUnknownTTL,
		"how long the cache remembers that an entity does not exist or is foreign"))
	positive(k.size(&d.CacheBytes, "directory.cache_bytes", directory.DefaultCacheBytes, "memory of the cache"))
	k.text(&c.Policy.File, "policy.file", "",
		"file with the rules of who may subscribe to what; none: the built-in rules; the server watches it")
}

// addRedis adds the keys of the connection to Redis.
func (k *keyList) addRedis(c *Redis) {
	k.list(&c.Addresses, "redis.addresses",
		"addresses of Redis, as host:port; several: Sentinels, members of a cluster, or independent servers; "+
			"none: a single node without Redis")
	k.text(&c.Username, "redis.username", "", "user of this node on Redis")
	k.secret(&c.Password, "redis.password", "password of that user")
	k.count(&c.DB, "redis.db", 0, "number of the database; it separates keys, but not channels: see redis.prefix")
	k.text(&c.Prefix, "redis.prefix", backplane.DefaultPrefix,
		"beginning of the names of all channels and keys; deployments that share a Redis need different ones, and the "+
			"publishers of each must use its own")
	k.toggle(&c.TLS.Enabled, "redis.tls.enabled", false, "connect to Redis with TLS")
	k.text(&c.TLS.CAFile, "redis.tls.ca_file", "",
		"PEM file with the authorities that may sign Redis' certificate; none: those of the system")
	k.text(&c.TLS.CertFile, "redis.tls.cert_file", "", "PEM file with the certificate of this node; the server watches it")
	k.text(&c.TLS.KeyFile, "redis.tls.key_file", "", "PEM file with the key of that certificate; the server watches it")
	k.text(&c.TLS.ServerName, "redis.tls.server_name", "",
		"name in Redis' certificate; none: the host of the address")
	k.toggle(&c.TLS.InsecureSkipVerify, "redis.tls.insecure_skip_verify", false,
		"UNSAFE: accept any certificate of Redis")
	k.text(&c.SentinelMaster, "redis.sentinel_master", "",
		"name of the master that the Sentinels at redis.addresses watch; with redis.sharded the names of "+
			"several, separated by commas")
	k.text(&c.SentinelUsername, "redis.sentinel_username", "", "user of this node on the Sentinels")
	k.secret(&c.SentinelPassword, "redis.sentinel_password", "password of that user")
	k.toggle(&c.Cluster, "redis.cluster", false, "redis.addresses are members of a Redis Cluster")
	k.toggle(&c.Sharded, "redis.sharded", false,
		"the servers at redis.addresses, or the masters of redis.sentinel_master, are independent: a "+
			"lane is on the server with the number crc32(lane) mod their count")
	k.count(&c.Lanes, "redis.lanes", 1, "number of lanes of each organization; publishers must use the same number")
	positive(k.count(&c.Connections, "redis.connections", 8,
		"subscribed connections to each Redis, over which the organizations are spread; with more than one, the node "+
			"opens another to isolate those that overflow the output buffers of Redis"))
	positive(k.span(&c.Linger, "redis.linger", time.Minute,
		"how long a lane stays subscribed after its last subscriber"))
	positive(k.span(&c.Watch, "redis.watch", time.Minute,
		"how long the node observes a lane before it relies on its publishers to write the journal"))
	positive(k.span(&c.ProbeInterval, "redis.probe_interval", 500*time.Millisecond,
		"time between two probes of the connection"))
	positive(k.span(&c.ProbeTimeout, "redis.probe_timeout", 2*time.Second,
		"time without an answer after which the node replaces the connection"))
	positive(k.span(&c.DialTimeout, "redis.dial_timeout", 2*time.Second,
		"time limit of connecting, and of authenticating"))
	positive(k.span(&c.CommandTimeout, "redis.command_timeout", 2*time.Second, "time limit of a command"))
	positive(k.size(&c.LaneQueueBytes, "redis.lane_queue_bytes", 8<<20,
		"bytes of one lane that may wait in this node"))
	positive(k.size(&c.TotalQueueBytes, "redis.total_queue_bytes", 256<<20,
		"bytes of all lanes that may wait in this node"))
}

// addEvents adds the keys of events and of their form for MessagePack clients.
func (k *keyList) addEvents(c *Config) {
	e := &c.Events
	positive(k.size(&e.MaxBytes, "events.max_bytes", 64<<10, "size of the largest accepted event, at most 2MiB"))
	k.text(&e.CatalogFile, "events.catalog_file", "",
		"file with your own events, in the form of the built-in catalog (docs/events.md)")
	k.choice(&e.Unknown, "events.unknown", "drop", []string{"drop", "pass"},
		"treatment of events whose type is not in the catalog: drop refuses and quarantines them, pass only "+
			"counts them")
	k.choice(&e.Validation, "events.validation", "sample", []string{"off", "sample", "all"},
		"how many events are compared with the catalog; differences are counted and quarantined, and the "+
			"event is delivered")
	positive(k.count(&e.SampleEvery, "events.sample_every", 128,
		"with events.validation sample, one event in this number is compared, and the first of each type"))
	k.count(&e.Quarantine, "events.quarantine", 64,
		"number of faulty messages that /api/quarantine keeps for operators")
	k.toggle(&e.Expire, "events.expire", true,
		"skip events that are older than their MessageTTLSeconds, by their Timestamp")
	k.span(&e.ClockSkew, "events.clock_skew", 5*time.Second,
		"how far the clocks of publishers may be behind for events.expire")

	k.toggle(&c.DetailedErrors, "detailed_errors", false,
		"add the reason to the errors that clients get, as EnableDetailedErrors of ASP.NET Core does; for "+
			"development: reasons show what the server runs on")
	k.choice(&c.MessagePack.Keys, "messagepack.keys", "pascal", []string{"pascal", "camel"},
		"case of property names for MessagePack clients")
	k.choice(&c.MessagePack.Times, "messagepack.times", "timestamp", []string{"timestamp", "string"},
		"form of a DateTime for MessagePack clients; Microsoft's Java client reads only strings")
}

// addLimits adds the keys that bound clients, organizations and memory.
func (k *keyList) addLimits(c *Config) {
	l := &c.Limits
	positive(k.count(&l.Connections, "limits.connections", defaultConnections,
		"connections of this node; further ones get 503"))
	positive(k.count(&l.Subscriptions, "limits.subscriptions", 10_000, "subscriptions of one connection"))
	k.count(&l.AgentSubscriptions, "limits.agent_subscriptions", 2_000,
		"subscriptions of one connection whose token has the role agent, if that is less than "+
			"limits.subscriptions; 0: limits.subscriptions")
	positive(k.count(&l.Items, "limits.items", 2_000, "items of one Subscribe"))
	positive(k.size(&l.MessageBytes, "limits.message_bytes", 256<<10,
		"size of the largest message of a client; a call with limits.items items must fit"))
	positive(k.size(&l.PendingBytes, "limits.pending_bytes", 64<<20,
		"memory of the incomplete messages above 32 KiB of all clients"))
	positive(k.size(&l.FrameBytes, "limits.frame_bytes", 16<<20, "size of the largest WebSocket frame of a client"))
	k.count(&l.FrameRate, "limits.frame_rate", 1_000,
		"WebSocket frames and messages per second of one connection; a client may send those of 10 s at once, then "+
			"the server reads more slowly; 0: no limit")
	k.count(&l.CallRate, "limits.call_rate", 500, "calls per second of one connection, in the same way; 0: no limit")
	k.count(&l.PingRate, "limits.ping_rate", 10,
		"WebSocket pings per second of one connection that are answered; 0: no limit")
	k.size(&l.UnreadBytes, "limits.unread_bytes", 0,
		"what a client that reads slowly may have to read, in its system and in proxies, before frames wait in the "+
			"outbox, where newer states replace older ones, such as 32KiB; adjusted to half a second of its pace; WebSocket "+
			"pings show what it has read: set it only if all clients answer them, as Microsoft's and browsers do and "+
			"signalrcore for Python does not; 0: no limit")
	positive(k.size(&l.HeaderBytes, "limits.header_bytes", 64<<10,
		"size of the header of a request, its token included"))
	positive(k.size(&l.AnswerBytes, "limits.answer_bytes", 64<<20,
		"memory of large answers to calls that clients have not read, of all connections; one user may have "+
			"an eighth of it, one organization a quarter; further calls wait; an eighth of memory.limit, if that is less"))
	positive(k.size(&l.OutboxBytes, "limits.outbox_bytes", 1<<20,
		"memory of the frames that may wait for a client that does not read; beyond it the connection is "+
			"closed"))
	positive(k.size(&l.TotalOutboxBytes, "limits.total_outbox_bytes", 512<<20,
		"memory of such frames of all connections; one connection may have an eighth of what is left, one user a "+
			"sixteenth of the whole; a quarter of memory.limit, if that is less"))
	positive(k.span(&l.OutboxAge, "limits.outbox_age", 30*time.Second,
		"how long a frame may wait for such a client"))

	q := &c.Quotas
	k.count(&q.Connections, "quotas.connections", 0,
		"connections of one organization to this node; further ones get 503; 0: no limit")
	k.count(&q.UserConnections, "quotas.user_connections", 1_000,
		"connections of one user to this node; further ones get 503; 0: no limit")
	k.count(&q.AddressConnections, "quotas.address_connections", 10_000,
		"connections from one public IPv4 address, or one /64 of IPv6, to this node; further ones get 503; private "+
			"addresses, which load balancers have, are not counted; 0: no limit")
	k.count(&q.Subscriptions, "quotas.subscriptions", 0,
		"subscriptions of one organization on this node, of all its connections; 0: no limit")
	k.count(&q.Events, "quotas.events", 0,
		"events per second that this node delivers for one organization, regardless of the number of "+
			"subscribers; above it, states are held back and replaced by newer ones, and other events wait; 0: "+
			"no limit")

	k.addAdmission(&c.Admission)

	k.addMemory(&c.Memory)
}

// addTimeouts adds the time limits of clients.
func (k *keyList) addTimeouts(c *Timeouts) {
	positive(k.span(&c.ReadHeader, "timeouts.read_header", 10*time.Second,
		"time limit for the header of a request"))
	positive(k.span(&c.Negotiate, "timeouts.negotiate", 15*time.Second, "time limit between negotiate and connect"))
	positive(k.span(&c.Handshake, "timeouts.handshake", 15*time.Second, "time limit of the hub handshake"))
	positive(k.span(&c.KeepAlive, "timeouts.keep_alive", 15*time.Second, "time between two pings to a client"))
	positive(k.span(&c.Client, "timeouts.client", 30*time.Second,
		"how long a client may send no message before its connection is closed; WebSocket pings are no messages"))
	positive(k.span(&c.Send, "timeouts.send", 10*time.Second,
		"time limit of each 64 KiB that a client must take; beyond it the connection ends as failed"))
	positive(k.span(&c.Unconfirmed, "timeouts.unconfirmed", 30*time.Second,
		"how long the operating system of a client may confirm no bytes, on Linux; then the client counts as lost"))
	positive(k.span(&c.Close, "timeouts.close", 5*time.Second,
		"time limit for a client to confirm the end of its connection"))
	k.span(&c.Idle, "timeouts.idle", 0,
		"how long an HTTP connection may wait for its next request; each takes a file descriptor; 0: 5 s, or 75 s with "+
			"trusted_proxies, because a request fails if its proxy sends it while the node closes the connection")
	positive(k.span(&c.Hold, "timeouts.hold", 10*time.Second,
		"how long a client waits at most to connect when what it sends ends its connections again and again"))
	positive(k.span(&c.Poll, "timeouts.poll", 90*time.Second,
		"how long a request of LongPolling waits for messages; it must be shorter than the time limits of proxies"))
	positive(k.span(&c.Invocation, "timeouts.invocation", 10*time.Second,
		"time limit of a call of a client, its waiting included"))
	positive(k.span(&c.Subscribe, "timeouts.subscribe", 2*time.Second,
		"how long Subscribe waits for Redis to confirm a lane; it does not wait while Redis is away"))
	positive(k.span(&c.Snapshot, "timeouts.snapshot", 500*time.Millisecond,
		"how long the node looks for last states after the answer to Subscribe; the next call of the client "+
			"waits"))
}

// addInternals adds the keys of the fan-out, the hub, notices of lost events and snapshots.
func (k *keyList) addInternals(c *Config) {
	k.count(&c.Fanout.Shards, "fanout.shards", 0,
		"goroutines that write to clients; 0: one per processor, or GOMAXPROCS - 1 where that is set")
	positive(k.count(&c.Fanout.Backlog, "fanout.backlog", 1<<14,
		"deliveries that may wait for the clients of one organization; beyond it, the events of that "+
			"organization wait in their lane"))
	k.span(&c.Fanout.Rest, "fanout.rest", 20*time.Millisecond,
		"longest time that a node holds events back so that one slow write carries several, which it does while "+
			"its processors are short; 0: it never does")
	k.count(&c.Hub.Pool, "hub.pool", 0, "calls of clients that run at the same time; 0: 32 per processor")

	k.toggle(&c.Compression.Deflate, "compression.deflate", false,
		"compress events for WebSocket clients that offer permessage-deflate, once for all subscribers of an event; "+
			"not for clients with stateful reconnect")
	positive(k.count(&c.Compression.Level, "compression.level", 1, "effort of the compression, 1 to 9"))
	k.span(&c.Resume.Window, "resume.window", 15*time.Second,
		"time that a connection whose client asked for stateful reconnect waits for another socket after it lost its own; "+
			"0: it is not granted")
	positive(k.size(&c.Resume.Bytes, "resume.bytes", 1<<20,
		"memory of the messages that such a client has not acknowledged; beyond it the connection goes on, but ends with "+
			"its socket"))
	positive(k.size(&c.Resume.TotalBytes, "resume.total_bytes", 64<<20,
		"the same for all clients; one may have an eighth of what is left"))

	positive(k.span(&c.Resync.Window, "resync.window", 10*time.Second,
		"time over which clients with notices are notified of lost events that cannot be repaired"))
	positive(k.span(&c.Resync.CloseWindow, "resync.close_window", time.Minute,
		"time over which the connections of clients without notices are closed for such a loss"))
	positive(k.count(&c.Resync.Rate, "resync.rate", 500,
		"clients notified per second; many clients take longer than the windows. Closes also stay below "+
			"admission.rate, minus the closes of a drain or a shed"))

	k.size(&c.Trace.Bytes, "trace.bytes", 16<<20,
		"memory for the records of the latest events, which answer why a client did not receive one; 0: none are kept")
	k.count(&c.Trace.Entries, "trace.entries", 100_000,
		"events that are remembered, if there is memory for so many; 0: none are kept")

	positive(k.count(&c.Tap.Max, "tap.max", 8,
		"live taps that copy events of this node at a time, with the taps that operators opened on other nodes"))
	positive(k.count(&c.Tap.Rate, "tap.rate", 500,
		"events per second that one tap copies on one node; the tap drops further events and reports their number"))
	positive(k.size(&c.Tap.Bytes, "tap.bytes", 1<<20, "memory of the events of one tap that wait for the operator"))

	modes := []string{SnapshotsOff, SnapshotsOptIn, SnapshotsAlways}
	k.choice(&c.Snapshots.Mode, "snapshots.mode", SnapshotsOptIn, modes,
		"clients that get the last state of a new subscription: none, those that ask with features=snapshot, "+
			"or all")
	k.size(&c.Snapshots.MemoryBytes, "snapshots.memory_bytes", backplane.DefaultSnapshotMemory,
		"memory for last states; without Redis they are kept nowhere else")
}

// addRebalance adds the keys of rebalance.
func (k *keyList) addRebalance(r *Rebalance) {
	k.toggle(&r.Enabled, "rebalance.enabled", false,
		"move connections to other nodes while this node has far more than they; off: only log and a metric")
	positive(k.count(&r.Above, "rebalance.above", 25,
		"percent above the mean of all nodes from which a node has far more connections"))
	k.count(&r.Below, "rebalance.below", 5,
		"percent above the mean of all nodes at which moving ends; below rebalance.above")
	positive(k.count(&r.Least, "rebalance.least", 100,
		"connections above the mean from which a node has far more; keeps small deployments still"))
	positive(k.span(&r.After, "rebalance.after", time.Minute,
		"how long a node must have far more connections, and all nodes be ready, before it moves any"))
	positive(k.count(&r.Rate, "rebalance.rate", 10,
		"percent of its connections that a node moves in a minute at most"))
}

// addProcess adds the keys of start, shutdown and the log.
func (k *keyList) addProcess(c *Config) {
	k.span(&c.Startup.Timeout, "startup.timeout", time.Minute,
		"how long a starting node waits for Redis, key sets and the directory before it wants connections without "+
			"them, as degraded; without any key it waits on; 0: it waits without end")
	k.span(&c.Shutdown.Delay, "shutdown.delay", 5*time.Second,
		"how long a stopping node accepts clients while /readyz sends the load balancer to other nodes")
	k.span(&c.Shutdown.Drain, "shutdown.drain", 60*time.Second,
		"time over which a stopping node closes its connections, evenly for each organization")
	k.span(&c.Shutdown.Wait, "shutdown.wait", 30*time.Second,
		"longest time that a drain pauses while Redis is away or another node is degraded; less if "+
			"shutdown.timeout leaves less")
	positive(k.span(&c.Shutdown.Timeout, "shutdown.timeout", 105*time.Second,
		"time limit of a stop; then the process ends in any case"))
	k.addRebalance(&c.Rebalance)

	k.choice(&c.Log.Level, "log.level", "info", []string{"debug", "info", "warn", "error"},
		"lowest level of the log")
	k.choice(&c.Log.Format, "log.format", "json", []string{"json", "console"},
		"form of the log: for machines or for people")
	k.count(&c.Log.AuditRate, "log.audit_rate", 100,
		"entries of each kind per second in the audit log; a metric counts further ones; 0: no audit log")
}
