package node

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/ingest"
	"github.com/rte-server/rte-server/internal/transport"
)

// Task is something that runs until its context ends.
type Task func(ctx context.Context) error

// Node is a server put together from its parts.
type Node struct {
	config   *config.Config
	logger   *zap.Logger
	registry *prometheus.Registry

	backplane backplane.Backplane
	hub       *hub.Hub
	transport *transport.Handler
	readiness *console.Readiness
	tasks     []Task // run while the node does, besides the listeners

	clients   *server
	operators *server // nil: there is no such port
	catalog   *events.Catalog
	ingress   *events.Ingress
	operator  *console.Operator
	shared    *token.SharedRevocations // nil: there are no other nodes
	audit     *zap.Logger              // who did what
}

// Options are what a node is made of.
type Options struct {
	Config  *config.Config // needed
	Logger  *zap.Logger    // needed
	Version string         // of the program

	// Directory replaces the one of the configuration; nil: it does not.
	Directory authz.Directory
	// Next answers requests to paths that are not the hub's; nil: nothing does.
	Next http.Handler
}

// New puts a node together and opens its ports. Nothing runs yet. The caller must run it.
func New(o Options) (n *Node, err error) {
	c, logger, reg := o.Config, o.Logger, newRegistry(o.Version)
	n = &Node{config: c, logger: logger, registry: reg, audit: newAudit(logger, c.Log.AuditRate, reg)}
	catalog, err := NewCatalog(&c.Events)
	if err != nil {
		return nil, err
	}
	n.catalog = catalog
	ingress, err := newIngress(&c.Events, catalog, reg)
	if err != nil {
		return nil, err
	}

	dispatcher, err := fanout.New(fanout.Options{
		State: catalog.StateKey, Expires: expires(&c.Events),
		Malformed: func(ev *events.Event, err error) { ingress.Refused(ev.Data, err) },
		JSON:      transport.NewJSONEncoder(catalog), MessagePack: transport.NewMessagePackEncoder(catalog, packStyle(c)),
		Shards: c.Fanout.Shards, Outbox: fanout.OutboxOptions{Bytes: c.Limits.OutboxBytes, Age: c.Limits.OutboxAge},
		Flow:       fanout.FlowOptions{Backlog: int64(c.Fanout.Backlog), Quota: c.Quotas.Events, Rest: c.Fanout.Rest},
		Registerer: reg,
	})
	if err != nil {
		return nil, err
	}
	n.ingress = ingress
	n.backplane, err = NewBackplane(&c.Redis, n, backplane.Options{
		Catalog: catalog, Decoder: ingress, Sink: dispatcher, SnapshotMemory: c.Snapshots.Memory(),
		Registerer: reg, Logger: logger.Named("backplane"),
	})
	if err != nil {
		return nil, err
	}

	revocations := token.NewRevocations(0, reg)
	verifier, err := newVerifier(&c.Auth, revocations, logger.Named("authz"), reg)
	if err != nil {
		return nil, err
	}
	dir := o.Directory
	if dir == nil {
		var refresh Task
		if dir, refresh, err = newDirectory(c, n.backplane, n.changed, logger.Named("authz"), reg); err != nil {
			return nil, err
		}
		if refresh != nil {
			n.tasks = append(n.tasks, refresh)
		}
	}
	authorizer, err := newAuthorizer(c, catalog, dir, n.changed, logger.Named("authz"), reg)
	if err != nil {
		return nil, err
	}

	n.hub, err = hub.New(hub.Options{
		Catalog: catalog, Dispatcher: dispatcher, Lanes: n.backplane,
		Authorization: hub.Authorization{
			Authorizer: authorizer, Rechecker: authorizer, Explain: authorizer.Explain, Denied: n.denied, Revoked: revocations.Check,
		},
		Limits: hub.Limits{
			Subscriptions: c.Limits.Subscriptions, Quota: c.Quotas.Subscriptions, Items: c.Limits.Items, ArgumentBytes: 2 * c.Limits.MessageBytes,
			Invocation: c.Timeouts.Invocation, Lanes: c.Timeouts.Subscribe, Snapshot: c.Timeouts.Snapshot,
		},
		Snapshots: hub.SnapshotOptions{
			Source: snapshotSource(&c.Snapshots, n.backplane), ForAll: c.Snapshots.Mode == config.SnapshotsAlways,
		},
		Resync: hub.ResyncOptions{Lane: laneOf(&c.Redis), Window: c.Resync.Window, Rate: c.Resync.Rate},
		Pool:   c.Hub.Pool, Registerer: reg, Logger: logger.Named("hub"),
	})
	if err != nil {
		return nil, err
	}
	n.transport, err = transport.New(transport.Options{
		Open: n.open, Verifier: verifier, Refused: n.refused, Secret: []byte(cmp.Or(c.Connection.Secret, c.Auth.HMACSecret)),
		Path: c.Path, Next: o.Next, Origins: c.Origins,
		TokenTTL: c.Timeouts.Negotiate, MaxConnections: c.Limits.Connections, Quota: c.Quotas.Connections,
		HandshakeTimeout: c.Timeouts.Handshake, KeepAliveInterval: c.Timeouts.KeepAlive, ClientTimeout: c.Timeouts.Client,
		CloseAtExpiry: c.Auth.CloseAtExpiry, ExpiryGrace: c.Auth.ExpiryGrace,
		Refresh: c.Auth.Refresh, Refreshed: n.refreshed, Forward: forward(n.backplane),
		SendTimeout: c.Timeouts.Send, CloseTimeout: c.Timeouts.Close,
		MessagePackStyle: packStyle(c), MaxMessageBytes: c.Limits.MessageBytes, MaxFrameBytes: int64(c.Limits.FrameBytes),
		Registerer: reg, Logger: logger.Named("transport"),
	})
	if err != nil {
		return nil, err
	}
	n.operator = console.NewOperator(console.OperatorOptions{
		Hub: n.hub, Gate: authorizer, Revocations: revocations, RevocationTTL: c.Auth.RevocationTTL, Audit: n.audit,
	})
	if n.backplane.Shared() {
		control := newControl(n.backplane, logger.Named("control"), reg)
		if err := n.share(control, revocations); err != nil {
			return nil, err
		}
		n.operator.Share(n.shared, func(ctx context.Context, message []byte) error {
			return n.backplane.Send(ctx, backplane.DisconnectChannel, message)
		})
		control.listen(backplane.DisconnectChannel, "disconnect", n.operator.TakeDisconnection, nil)
		if c.Auth.Refresh {
			control.listen(backplane.RefreshChannel, "refresh", n.transport.Hear, nil)
		}
		if hasCache(&c.Directory) {
			n.follow(control, dir)
		}
	}
	n.tasks = append(n.tasks, newCollector(&c.Memory).run, dispatcher.Run, n.backplane.Run, n.hub.Run, verifier.Run, authorizer.Run, n.operator.Sweep)
	n.readiness = console.NewReadiness(console.Check{Name: "backplane", Problem: n.backplaneProblem},
		console.Check{Name: "revocations", Problem: n.revocationsProblem})
	return n, n.listen()
}

// changed is told, while the node runs, of what was changed in the directory or the policy.
func (n *Node) changed(change authz.Change) { n.hub.Recheck(change) }

// Lost is told, while the node runs, of events that listeners must fetch again.
func (n *Node) Lost(loss backplane.Loss) {
	n.hub.Lost(hub.Loss{
		Organization: loss.Organization, Lane: loss.Lane, From: loss.From, To: loss.To, Reason: loss.Reason.String(),
	})
}

// open begins the session of a connection.
func (n *Node) open(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
	session, err := n.hub.Open(conn, claims)
	if err != nil {
		return nil, err // not session: a nil *hub.Session is not a nil transport.Session
	}
	if entry := n.audit.Check(zap.InfoLevel, "connected"); entry != nil {
		entry.Write(zap.String("connection", session.ID()), zap.Stringer("protocol", conn.Protocol()),
			zap.Stringer("user", claims.User), zap.Stringer("organization", claims.Organization),
			zap.String("role", string(claims.Role)), zap.String("jti", claims.TokenID))
	}
	return session, nil
}

// refreshed is told of a connection that has another token.
func (n *Node) refreshed(conn hub.Conn, claims *authz.Claims) {
	n.audit.Info("refreshed", zap.String("connection", conn.ID()), zap.Stringer("user", claims.User),
		zap.String("role", string(claims.Role)), zap.String("jti", claims.TokenID))
}

// refused is told of a request whose token was refused.
func (n *Node) refused(remote, reason string) {
	n.audit.Info("refused", zap.String("remote", remote), zap.String("reason", reason))
}

// denied is told of an item of a Subscribe that was refused.
func (n *Node) denied(s *hub.Session, d hub.Denied) {
	entry := n.audit.Check(zap.InfoLevel, "subscription refused")
	if entry == nil {
		return // masses of them cost next to nothing
	}
	entity, claims := "", s.Claims()
	if d.Entity != (events.ID{}) {
		entity = d.Entity.String()
	}
	entry.Write(zap.String("connection", s.ID()), zap.Stringer("user", claims.User), zap.Stringer("organization", claims.Organization),
		zap.String("entity", entity), zap.String("event", d.Event), zap.String("code", d.Code), zap.String("trace", d.Trace))
}

// backplaneProblem says why no events arrive; empty: they do.
func (n *Node) backplaneProblem() string {
	health := n.backplane.Health()
	if health.Connected {
		return ""
	}
	return cmp.Or(health.Detail, "not connected")
}

// publishing answers requests to publish.
func (n *Node) publishing() http.Handler {
	c := n.config
	return ingest.New(ingest.Options{
		Take: ingest.Take(n.ingress, n.backplane), Receipts: n.backplane, Window: c.Publish.Window, Timeout: c.Publish.Timeout,
		MaxBytes: c.Publish.MaxBytes, MaxEvent: c.Events.MaxBytes, Registerer: n.registry,
	})
}

// listen opens the ports.
func (n *Node) listen() (err error) {
	c := n.config
	n.clients, err = newServer(c.Listen, n.logger.Named("http"), &http.Server{
		Handler:           n.transport,
		ReadHeaderTimeout: c.Timeouts.ReadHeader,
		ReadTimeout:       2 * c.Timeouts.ReadHeader, // no request of a client has a body worth mentioning
		WriteTimeout:      2*c.Timeouts.ReadHeader + c.Timeouts.Send,
		MaxHeaderBytes:    c.Limits.HeaderBytes,
	})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	n.clients.answer = n.transport.Serve
	if c.Console.Listen == "" {
		return nil
	}
	n.operators, err = newServer(c.Console.Listen, n.logger.Named("console"), &http.Server{
		Handler: console.New(console.Options{
			Readiness: n.readiness, Quarantine: func() any { return n.ingress.Quarantined() }, Operations: n.operator.Operations(),
			Publish: n.publishing(), Gatherer: n.registry, Registerer: n.registry, Token: c.Console.Token,
		}),
		ReadHeaderTimeout: c.Timeouts.ReadHeader, // and nothing else: profiles take as long as they were asked to
	})
	if err != nil {
		n.clients.close()
		return fmt.Errorf("console.listen: %w", err)
	}
	return nil
}

// Clients is the address of the port for clients.
func (n *Node) Clients() net.Addr { return n.clients.listener.Addr() }

// Operators is the address of the operator's port; nil: there is none.
func (n *Node) Operators() net.Addr {
	if n.operators == nil {
		return nil
	}
	return n.operators.listener.Addr()
}

// Backplane is what the node publishes through.
func (n *Node) Backplane() backplane.Backplane { return n.backplane }

// Catalog is the catalogue of the node's events.
func (n *Node) Catalog() *events.Catalog { return n.catalog }

// Registry is where the node's metrics are.
func (n *Node) Registry() *prometheus.Registry { return n.registry }
