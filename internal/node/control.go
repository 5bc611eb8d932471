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
)

// control takes what nodes and back ends tell all nodes by way of Redis. What they send is checked, and what is wrong
// with it is logged without it.
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

// listen has the messages of a channel taken. missed is told when some may have been missed; nil: nobody is.
func (c *control) listen(channel, kind string, take func(message []byte) error, missed func()) {
	understood, malformed := c.messages.WithLabelValues(kind, "ok"), c.messages.WithLabelValues(kind, "malformed")
	c.backplane.Subscribe(channel, func(message []byte) {
		if err := take(message); err != nil {
			malformed.Inc()
			c.log.Warn("a message to all nodes is not understood", func() []zap.Field {
				return []zap.Field{zap.String("kind", kind), zap.Int("bytes", len(message)), zap.Error(err)}
			})
			return
		}
		understood.Inc()
	}, missed)
}

// share makes the revocations of this node those of all nodes.
func (n *Node) share(c *control, list *token.Revocations) (err error) {
	n.shared, err = token.NewSharedRevocations(token.SharedRevocationsOptions{
		List: list, Store: c.backplane.Revocations(), TTL: n.config.Auth.RevocationTTL, Enforce: n.operator.Enforce,
		Logger: n.logger.Named("authz"), Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	c.listen(backplane.RevokeChannel, "revoke", n.shared.Hear, n.shared.Reread)
	n.tasks = append(n.tasks, n.shared.Run)
	return nil
}

// follow drops cached entities when a message reports that they changed.
func (n *Node) follow(c *control, dir authz.Directory) {
	apply := func(change authz.Change) {
		dir.Invalidate(change)
		n.changed(change)
	}
	c.listen(backplane.DirectoryChannel, "directory", func(message []byte) error {
		change, err := directory.ParseChange(message)
		if err == nil {
			apply(change)
		}
		return err
	}, func() { apply(authz.Change{All: true}) })
}

// forward takes what nodes tell each other of refreshed tokens to all of them; nil: there are no others.
func forward(b backplane.Backplane) func(ctx context.Context, message []byte) error {
	if !b.Shared() {
		return nil
	}
	return func(ctx context.Context, message []byte) error { return b.Send(ctx, backplane.RefreshChannel, message) }
}

// revocationsProblem says why this node does not know what others revoke; empty: it does, or Redis is away, which is
// said already.
func (n *Node) revocationsProblem() string {
	if n.shared == nil || n.shared.Current() || n.backplaneProblem() != "" {
		return ""
	}
	return "revocations cannot be read from Redis"
}
