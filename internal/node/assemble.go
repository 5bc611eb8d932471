package node

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/ingest"
	"github.com/rte-server/rte-server/internal/smuggling"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/forwarded"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
	"github.com/rte-server/rte-server/internal/transport/transports"
)

// assembleEvents makes the path of events: catalog, ingress, dispatcher and backplane.
func (n *Node) assembleEvents(*Options) (err error) {
	c := n.config
	if n.catalog, err = NewCatalog(&c.Events); err != nil {
		return err
	}
	if n.ingress, err = newIngress(&c.Events, n.catalog, n.registry); err != nil {
		return err
	}
	n.trace = trace.New(trace.Options{
		Bytes: c.Trace.Bytes, Entries: c.Trace.Entries, Reasons: backplane.RefusedReasons(), Registerer: n.registry,
	})
	n.taps = tap.New(tap.Options{
		Max: c.Tap.Max, Rate: c.Tap.Rate, Bytes: c.Tap.Bytes, Short: n.memory.guard.Short, Registerer: n.registry,
	})
	n.dispatcher, err = fanout.New(fanout.Options{
		State: n.catalog.StateKey, Expires: expires(&c.Events),
		Malformed: func(ev *events.Event, err error) { n.ingress.Refused(ev.Data, err) },
		JSON:      hubprotocol.NewJSONEncoder(n.catalog), MessagePack: hubprotocol.NewMessagePackEncoder(
			n.catalog, packStyle(c),
		),
		Deflate: hubprotocol.NewDeflater(c.Compression.Level).Deflate,
		Types:   n.catalog.Names(),
		Shards:  c.Fanout.Shards,
		Outbox: fanout.OutboxOptions{
			Bytes: c.Limits.OutboxBytes, TotalBytes: memoryPart(c.Limits.TotalOutboxBytes, n.memory.limit, 4),
			Age: c.Limits.OutboxAge,
		},
		Resume: fanout.ResumeOptions{
			Bytes: c.Resume.Bytes, TotalBytes: memoryPart(c.Resume.TotalBytes, c.Memory.Limit, 16),
		},
		Flow:  fanout.FlowOptions{Backlog: int64(c.Fanout.Backlog), Quota: c.Quotas.Events, Rest: c.Fanout.Rest},
		Trace: n.trace, Taps: n.taps, Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	n.backplane, err = n.newBackplane(backplane.Options{
		Catalog: n.catalog, Decoder: n.ingress, Sink: n.dispatcher, SnapshotMemory: c.Snapshots.Memory(),
		Trace: n.trace, Taps: n.taps, Registerer: n.registry, Logger: n.logger.Named("backplane"),
	})
	return err
}

// assembleAuthorization makes the path of a request: verifier, directory and policy.
func (n *Node) assembleAuthorization(o *Options) (err error) {
	c, logger := n.config, n.logger.Named("authz")
	n.revocations = token.NewRevocations(0, n.registry)
	if n.verifier, err = newVerifier(&c.Auth, n.revocations, logger, n.registry); err != nil {
		return err
	}
	if o.Directory != nil {
		n.directory = liveDirectory{Directory: o.Directory, run: idle, problem: none}
	} else if n.directory, err = newDirectory(c, n.backplane, n.changed, logger, n.registry); err != nil {
		return err
	}
	n.gate, err = newGate(c, n.catalog, n.directory, n.changed, logger, n.registry)
	return err
}

// historyPart is the part of trace.bytes that the hub has, in addition, for what has ended.
const historyPart = 8

// assembleHub makes the hub: sessions and the methods that clients call.
func (n *Node) assembleHub(*Options) (err error) {
	c := n.config
	n.hub, err = hub.New(hub.Options{
		Catalog: n.catalog, Dispatcher: n.dispatcher, Lanes: n.backplane,
		Authorization: hub.Authorization{
			Authorizer: n.gate, Rechecker: n.gate, Explain: n.gate.Explain, Denied: n.audit.denied, Revoked: n.revocations.Check,
		},
		Limits: n.hubLimits(c),
		Snapshots: hub.SnapshotOptions{
			Source: snapshotSource(&c.Snapshots, n.backplane), ForAll: c.Snapshots.Mode == config.SnapshotsAlways,
		},
		Resync: hub.ResyncOptions{
			Lane: laneOf(&c.Redis), Window: c.Resync.Window, CloseWindow: c.Resync.CloseWindow, Rate: c.Resync.Rate,
			CloseRate: c.Admission.Rate, Hold: func() bool { return n.peers.holds() != "" },
		},
		HistoryBytes: c.Trace.Bytes / historyPart,
		Pool:         c.Hub.Pool, DetailedErrors: c.DetailedErrors, Registerer: n.registry, Logger: n.logger.Named("hub"),
		Tracer: n.tracer,
	})
	return err
}

// hubLimits returns the limits of the hub.
func (n *Node) hubLimits(c *config.Config) hub.Limits {
	return hub.Limits{
		Subscriptions: c.Limits.Subscriptions, AgentSubscriptions: c.Limits.AgentSubscriptions,
		Quota: c.Quotas.Subscriptions, Items: c.Limits.Items,
		MessageBytes: c.Limits.MessageBytes, CallRate: c.Limits.CallRate,
		ArgumentBytes: 2 * c.Limits.MessageBytes, AnswerBytes: memoryPart(c.Limits.AnswerBytes, n.memory.limit, 8),
		Invocation: c.Timeouts.Invocation, Lanes: c.Timeouts.Subscribe, Snapshot: c.Timeouts.Snapshot,
	}
}

// assembleTransport makes the handler of the port for clients.
func (n *Node) assembleTransport(o *Options) (err error) {
	c := n.config
	proxies, err := c.Proxies()
	if err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	served, err := transports.Parse(c.Transports)
	if err != nil {
		return fmt.Errorf("transports: %w", err)
	}
	secret, previous := connectionSecrets(c)
	n.transport, err = transport.New(transport.Options{
		Open: n.open, Verifier: n.verifier, Refused: n.audit.refused, Ended: n.audit.ended,
		Secret: secret, PreviousSecrets: previous,
		Path: c.Path, Next: n.withHealthPath(o.Next), Origins: c.Origins, Transports: served,
		Protocol: transport.ProtocolOptions{
			MessagePackStyle: packStyle(c), DetailedErrors: c.DetailedErrors, Deflate: c.Compression.Deflate,
		},
		Proxies: transport.ProxyOptions{Trusted: proxies, Protocol: forwarded.Mode(c.ProxyProtocol)},
		Tokens: transport.TokenOptions{
			TTL: c.Timeouts.Negotiate, CloseAtExpiry: c.Auth.CloseAtExpiry, ExpiryGrace: c.Auth.ExpiryGrace,
			Leeway: c.Auth.Leeway, Announce: toAll(n.backplane, backplane.TokensChannel),
			Revoked: n.revocations.Check, Tickets: c.Auth.WebSocketTicket,
		},
		Relay:  n.relay.forTransport(),
		Resume: transport.ResumeOptions{Window: c.Resume.Window},
		Refresh: transport.RefreshOptions{
			Enabled: c.Auth.Refresh, Refreshed: n.audit.refreshed, Forward: toAll(n.backplane, backplane.RefreshChannel),
		},
		Limits: n.transportLimits(c),
		Timeouts: transport.Timeouts{
			Handshake: c.Timeouts.Handshake, KeepAlive: c.Timeouts.KeepAlive, Client: c.Timeouts.Client,
			Send: c.Timeouts.Send, Close: c.Timeouts.Close, Idle: idleTime(c), Hold: c.Timeouts.Hold,
			Poll: c.Timeouts.Poll,
		},
		Admission: transport.AdmissionOptions{
			Rate: c.Admission.Rate, Burst: cmp.Or(c.Admission.Burst, c.Admission.Rate),
			Wait: c.Admission.Wait, FullWait: c.Admission.FullWait, Short: n.memory.guard.Short,
		},
		Registerer: n.registry, Logger: n.logger.Named("transport"), Tracer: n.tracer,
	})
	return err
}

// transportLimits returns the limits of the port for clients.
func (n *Node) transportLimits(c *config.Config) transport.Limits {
	return transport.Limits{
		Connections: n.maxConnections(c.Limits.Connections), Sockets: n.files.clients,
		OrganizationConnections: c.Quotas.Connections,
		UserConnections:         orNone(c.Quotas.UserConnections),
		AddressConnections:      orNone(c.Quotas.AddressConnections),
		FrameRate:               orNone(c.Limits.FrameRate), CallRate: orNone(c.Limits.CallRate),
		PingRate:     orNone(c.Limits.PingRate),
		UnreadBytes:  orNone(c.Limits.UnreadBytes),
		MessageBytes: c.Limits.MessageBytes, PendingBytes: int64(c.Limits.PendingBytes),
		FrameBytes: int64(c.Limits.FrameBytes),
	}
}

// orNone turns 0, which means no limit in the configuration, into what means no limit in transport.Limits.
func orNone(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}

// assembleControl makes what operators and other nodes can ask of this node.
func (n *Node) assembleControl(*Options) (err error) {
	n.readiness = console.NewReadiness(
		console.Check{Name: "backplane", Problem: n.backplaneProblem},
		console.Check{Name: "keys", Problem: n.verifier.KeysProblem, Useless: func() bool { return !n.verifier.HasKeys() }},
		console.Check{Name: "directory", Problem: n.directory.problem},
		console.Check{Name: "revocations", Problem: n.revocationsProblem},
	)
	n.assembleDrainer()
	n.others = alone{}
	if n.backplane.Shared() {
		if n.others, err = n.joinOthers(); err != nil {
			return err
		}
	}
	n.operator, err = console.NewOperator(console.OperatorOptions{
		Hub: n.hub, Gate: n.gate, Revocations: n.revocations, RevocationTTL: n.config.Auth.RevocationTTL,
		Others: n.others, Drainer: n.drainer, Audit: n.audit.log,
		Node: n.name, Catalog: n.catalog, Trace: n.trace, Lane: laneOf(&n.config.Redis), LaneProblem: n.backplaneProblem,
		Taps: n.taps, Lanes: n.backplane, Registerer: n.registry, Gatherer: n.registry,
		Readiness: n.readiness, Redis: n.redisView, Organizations: n.organizationUses,
		Level: n.level, ConfiguredLevel: n.configuredLevel, Reload: n.reloadOperation(),
	})
	return err
}

// redisView returns the state of Redis for operators.
func (n *Node) redisView() console.RedisView {
	health := n.backplane.Health()
	return console.RedisView{Used: n.backplane.Shared(), Connected: health.Connected, Detail: health.Detail}
}

// listen opens the ports.
func (n *Node) listen(*Options) (err error) {
	c := n.config
	n.clients, err = newServer(c.Listen, c.Timeouts.Unconfirmed, n.logger.Named("http"), &http.Server{
		Handler:           n.transport,
		ReadHeaderTimeout: c.Timeouts.ReadHeader,
		ReadTimeout:       2 * c.Timeouts.ReadHeader, // requests of clients have next to no body
		WriteTimeout:      2*c.Timeouts.ReadHeader + c.Timeouts.Send,
		MaxHeaderBytes:    c.Limits.HeaderBytes,
	})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	n.clients.answer = n.transport.Serve
	if err := n.relay.listen(n); err != nil {
		n.clients.close()
		return err
	}
	if c.TLS.CertFile != "" {
		n.clients.listener = n.transport.BehindProxies(n.clients.listener, c.Timeouts.ReadHeader)
	}
	if err := n.secure(n.clients, c.TLS, clientPort); err != nil {
		n.clients.close()
		return err
	}
	if c.Console.Listen == "" {
		return nil
	}
	if err := n.listenForOperators(); err != nil {
		n.relay.close()
		n.clients.close()
		return err
	}
	return nil
}

// listenForOperators opens the operator port.
func (n *Node) listenForOperators() error {
	c := n.config
	publish, err := ingest.New(ingest.Options{
		Take: ingest.Take(tracedIngress{n.ingress, n.trace}, n.backplane, expires(&c.Events)), Receipts: n.backplane,
		Window: c.Publish.Window, Timeout: c.Publish.Timeout,
		MaxBytes: c.Publish.MaxBytes, MaxEvent: c.Events.MaxBytes, Registerer: n.registry, Tracer: n.tracer,
	})
	if err != nil {
		return err
	}
	n.console, err = console.New(console.Options{
		Node: n.name, Readiness: n.readiness, Quarantine: func() any { return n.ingress.Quarantined() },
		Operations: n.operator.Operations(), Publish: publish,
		Organizations: newOrganizationMetrics(n.organizations),
		Gatherer:      n.registry, Registerer: n.registry, Token: c.Console.Token,
		ReadToken: c.Console.ReadToken, PublishToken: c.Console.PublishToken, Audit: n.audit.log,
		AnswerTimeout: 2*c.Timeouts.ReadHeader + c.Timeouts.Send + c.Publish.Timeout,
	})
	if err != nil {
		return err
	}
	n.operators, err = newServer(c.Console.Listen, c.Timeouts.Unconfirmed, n.logger.Named("console"), &http.Server{
		Handler:           n.console,
		ReadHeaderTimeout: c.Timeouts.ReadHeader,
		ReadTimeout:       2 * c.Timeouts.ReadHeader, // /api/publish has a limit of its own
	})
	if err != nil {
		return fmt.Errorf("console.listen: %w", err)
	}
	if n.files.operators > 0 {
		n.operators.listener = n.console.Limit(n.operators.listener, n.files.operators)
	}
	if err := n.secure(n.operators, c.Console.TLS, operatorPort); err != nil {
		n.operators.close()
		return err
	}
	checked := smuggling.Checked{Listener: n.operators.listener}
	if c.Console.TLS.CertFile != "" {
		checked.Begin = n.tls.handshake(operatorPort)
	}
	n.operators.listener = checked
	return nil
}

// open starts the session of a connection.
func (n *Node) open(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
	session, err := n.hub.Open(conn, claims)
	if err != nil {
		return nil, err // not session: a nil *hub.Session is not a nil transport.Session
	}
	n.audit.connected(session, conn, claims)
	return session, nil
}

// changed passes a change of the directory or the policy to the hub, which checks its subscriptions again.
func (n *Node) changed(change authz.Change) { n.hub.Recheck(change) }

// Lost implements backplane.Losses: it passes lost events to the hub, which notifies their subscribers.
func (n *Node) Lost(loss backplane.Loss) {
	n.hub.Lost(hub.Loss{
		Organization: loss.Organization, Lane: loss.Lane, From: loss.From, To: loss.To, Reason: loss.Reason.String(),
	})
}

// backplaneProblem reports why no events arrive; empty while they do.
func (n *Node) backplaneProblem() string {
	health := n.backplane.Health()
	if health.Connected {
		return health.Detail
	}
	return cmp.Or(health.Detail, "not connected")
}

// revocationsProblem reports why this node does not know the revocations of other nodes. It is empty while the node
// knows them, and while backplaneProblem reports the cause already.
func (n *Node) revocationsProblem() string {
	if n.others.Current() || n.backplaneProblem() != "" {
		return ""
	}
	return "revocations cannot be read from Redis"
}

// TryParts makes the parts that read files and returns their errors. It opens no port and starts nothing.
func TryParts(c *config.Config) error {
	var wrong []error
	try := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	_, err := newVerifier(&c.Auth, nil, zap.NewNop(), nil)
	try(err)
	_, err = newDirectory(c, nil, nil, zap.NewNop(), nil)
	try(err)
	catalog, err := NewCatalog(&c.Events)
	try(err)
	if err == nil {
		_, err = newGate(c, catalog, directory.FromClaims{}, nil, zap.NewNop(), nil)
		try(err)
	}
	_, err = readRedisTLS(&c.Redis)
	try(err)
	for key, files := range map[string]config.PortTLS{"tls.cert_file": c.TLS, "console.tls.cert_file": c.Console.TLS} {
		if files.CertFile != "" {
			if _, err := files.Read(); err != nil {
				try(fmt.Errorf("%s: %w", key, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// idleTime returns how long an HTTP connection of a client may wait for its next request. Proxies send requests of all
// clients over the same connections and keep these for up to a minute. A node that closes one first loses the request
// that is on its way: the proxy does not know whether the node has answered it, and ends the connection of the client.
func idleTime(c *config.Config) time.Duration {
	const direct, proxied = 5 * time.Second, 75 * time.Second
	if c.Timeouts.Idle == 0 && len(c.TrustedProxies) > 0 {
		return proxied
	}
	return cmp.Or(c.Timeouts.Idle, direct)
}
