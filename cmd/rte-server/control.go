package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
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
func (n *node) share(c *control, list *authz.Revocations) (err error) {
	n.shared, err = authz.NewSharedRevocations(authz.SharedRevocationsOptions{
		List: list, Store: c.backplane.Revocations(), TTL: n.config.Auth.RevocationTTL, Enforce: n.operator.enforceFresh,
		Logger: n.logger.Named("authz"), Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	c.listen(backplane.RevokeChannel, "revoke", n.shared.Hear, n.shared.Reread)
	n.tasks = append(n.tasks, n.shared.Run)
	return nil
}

// follow keeps a directory with a cache fresh.
func (n *node) follow(c *control, directory *authz.CachedDirectory) {
	apply := func(change authz.Change) {
		directory.Invalidate(change)
		n.changed(change)
	}
	c.listen(backplane.DirectoryChannel, "directory", func(message []byte) error {
		change, err := authz.ParseChange(message)
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

// disconnection is a message that ends connections: one, or those of a user.
type disconnection struct {
	Connection string `json:"connection,omitempty"`
	User       string `json:"user,omitempty"`
}

// user checks whom it is about, and is set if it is about a user.
func (d disconnection) user() (user events.ID, err error) {
	if (d.Connection == "") == (d.User == "") {
		return user, errors.New("want either connection or user")
	}
	if d.Connection != "" {
		return user, nil
	}
	user, ok := events.ParseID(d.User)
	if !ok {
		return user, errors.New("user: must be a GUID")
	}
	return user, nil
}

// parseDisconnection checks a message. user is set if it is about one.
func parseDisconnection(message []byte) (d disconnection, user events.ID, err error) {
	const longest = 1 << 10
	if len(message) > longest || json.Unmarshal(message, &d) != nil {
		return d, user, errors.New("disconnect: not a JSON object of the documented form")
	}
	if user, err = d.user(); err != nil {
		return d, user, fmt.Errorf("disconnect: %w", err)
	}
	return d, user, nil
}

// revocationsProblem says why this node does not know what others revoke; empty: it does, or Redis is away, which is
// said already.
func (n *node) revocationsProblem() string {
	if n.shared == nil || n.shared.Current() || n.backplaneProblem() != "" {
		return ""
	}
	return "revocations cannot be read from Redis"
}
