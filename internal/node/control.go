package node

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/console"
)

// control receives the messages that nodes and back ends send to all nodes. It checks each message and never logs its
// text.
type control struct {
	backplane backplane.Control
	messages  *prometheus.CounterVec
	log       *backplane.Throttle
}

func newControl(b backplane.Control, logger *zap.Logger, reg prometheus.Registerer) *control {
	return &control{
		backplane: b, log: backplane.NewThrottle(logger),
		messages: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "rte_control_messages_total",
			Help: "Messages to all nodes, by kind and by whether they could be understood.",
		}, []string{"kind", "result"}),
	}
}

// subscribe passes each message of a channel to take and counts its result. The backplane calls missed when messages
// may have been missed; nil if that does not matter.
func (c *control) subscribe(channel, kind string, take func(message []byte) error, missed func()) {
	understood, malformed := c.messages.WithLabelValues(kind, "ok"), c.messages.WithLabelValues(kind, "malformed")
	c.backplane.Subscribe(channel, func(message []byte) {
		if err := take(message); err != nil {
			malformed.Inc()
			c.log.Warn("malformed control message", func() []zap.Field {
				return []zap.Field{zap.String("kind", kind), zap.Int("bytes", len(message)), zap.Error(err)}
			})
			return
		}
		understood.Inc()
	}, missed)
}

// others are the other nodes of the deployment, as this node reaches them.
type others interface {
	console.Others

	// Tried returns a channel that is closed once the node has tried to read the revocations of the others.
	Tried() <-chan struct{}
	// Current reports whether this node knows all revocations.
	Current() bool
}

// alone is a deployment of one node without Redis.
type alone struct{}

// Revoke implements console.Others.
func (alone) Revoke(context.Context, token.Revocation) error { return nil }

// Disconnect implements console.Others.
func (alone) Disconnect(context.Context, []byte) error { return nil }

// Query implements console.Others.
func (alone) Query(context.Context, []byte) console.Replies { return console.Replies{} }

// Follow implements console.Others.
func (alone) Follow(context.Context, []byte, func(string, []byte)) {}

// Tried implements others.
func (alone) Tried() <-chan struct{} {
	tried := make(chan struct{})
	close(tried)
	return tried
}

// Current implements others.
func (alone) Current() bool { return true }

// connected are other nodes behind a shared backplane.
type connected struct {
	*token.SharedRevocations

	control backplane.Control
	queries *nodeQueries // nil: the nodes share no secret
	peers   *peers
}

// Query implements console.Others.
func (o connected) Query(ctx context.Context, query []byte) console.Replies {
	if o.queries == nil {
		return console.Replies{Silent: o.peers.names()}
	}
	return o.queries.request(ctx, query)
}

// Follow implements console.Others.
func (o connected) Follow(ctx context.Context, request []byte, take func(node string, batch []byte)) {
	if o.queries != nil {
		o.queries.streams.follow(ctx, request, take)
	}
}

// Revoke implements console.Others.
func (o connected) Revoke(ctx context.Context, r token.Revocation) error { return o.Share(ctx, r) }

// Disconnect implements console.Others.
func (o connected) Disconnect(ctx context.Context, message []byte) error {
	return o.control.Send(ctx, backplane.DisconnectChannel, message)
}

// joinOthers subscribes the channels of control messages and shares the revocations of this node with all nodes.
func (n *Node) joinOthers() (others, error) {
	c := newControl(n.backplane, n.logger.Named("control"), n.registry)
	shared, err := token.NewSharedRevocations(token.SharedRevocationsOptions{
		List: n.revocations, Store: n.backplane.Revocations(), TTL: n.config.Auth.RevocationTTL,
		Enforce: func(fresh []token.Revocation) { n.operator.Enforce(fresh) },
		Logger:  n.logger.Named("authz"), Registerer: n.registry,
	})
	if err != nil {
		return nil, err
	}
	n.tasks = append(n.tasks, shared.Run)
	c.subscribe(backplane.RevokeChannel, "revoke", shared.Receive, shared.Reread)
	c.subscribe(backplane.DisconnectChannel, "disconnect",
		func(message []byte) error { return n.operator.TakeDisconnection(message) }, nil)
	c.subscribe(backplane.NodesChannel, "node", n.peers.receive, n.peers.miss)
	n.tasks = append(n.tasks, n.peers.run)
	c.subscribe(backplane.TokensChannel, "tokens", n.transport.HandleRedemptions, nil)
	if n.config.Auth.Refresh {
		c.subscribe(backplane.RefreshChannel, "refresh", n.transport.HandleRefresh, nil)
	}
	if n.directory.invalidate != nil {
		follow(c, n.directory.invalidate, n.changed)
	}
	queries, err := n.joinQueries(c)
	return connected{shared, n.backplane, queries, n.peers}, err
}

// joinQueries lets operators ask all nodes. Without a secret that the nodes share it returns nil: each node answers for
// itself.
func (n *Node) joinQueries(c *control) (*nodeQueries, error) {
	secret, previous := connectionSecrets(n.config)
	if len(secret) == 0 {
		return nil, nil
	}
	q := newNodeQueries(n.name, n.backplane, n.peers.names,
		func(ctx context.Context, query []byte) []byte { return n.operator.Answer(ctx, query) },
		func(ctx context.Context, request []byte, send func(context.Context, []byte) error) {
			n.operator.Feed(ctx, request, send)
		},
		n.logger.Named("control"))
	if err := q.setSecrets(secret, previous...); err != nil {
		return nil, err
	}
	q.subscribe(c)
	n.queries = q
	n.tasks = append(n.tasks, q.run)
	return q, nil
}

// follow keeps the cache of a directory fresh: a message names the entities that changed, and after missed messages
// anything may have. It calls invalidate before changed: a recheck must not find the old records in the cache.
func follow(c *control, invalidate, changed func(authz.Change)) {
	apply := func(change authz.Change) {
		invalidate(change)
		changed(change)
	}
	c.subscribe(backplane.DirectoryChannel, "directory", func(message []byte) error {
		change, err := directory.ParseChange(message)
		if err == nil {
			apply(change)
		}
		return err
	}, func() { apply(authz.Change{All: true}) })
}

// toAll returns a function that sends messages to a channel of all nodes. It is nil in a deployment of one node.
func toAll(b backplane.Control, channel string) func(ctx context.Context, message []byte) error {
	if !b.Shared() {
		return nil
	}
	return func(ctx context.Context, message []byte) error { return b.Send(ctx, channel, message) }
}
