package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

// reloads are the reloads of the configuration of a node.
type reloads struct {
	possible bool                        // static: the node has the sources of its configuration
	results  map[bool]prometheus.Counter // by success
	restart  prometheus.Gauge

	mu     sync.Mutex // held during a reload; guards the following fields
	loaded *config.Loaded
	failed string // the error of the last reload of secrets
}

func newReloads(loaded *config.Loaded, reg prometheus.Registerer) *reloads {
	total := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "rte_config_reloads_total",
		Help: "Reloads of the configuration or of a file with a secret, by whether the new values came into force.",
	}, []string{"result"})
	return &reloads{
		loaded: loaded, possible: loaded != nil,
		results: map[bool]prometheus.Counter{true: total.WithLabelValues("ok"), false: total.WithLabelValues("refused")},
		restart: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "rte_config_restart_keys",
			Help: "Configuration keys whose new values need a restart, as of the last reload.",
		}),
	}
}

// Reload reads all sources of the configuration again and puts the new values of reloadable keys into force. If any
// value is wrong, all old values stay in force. It logs the result, and cause as its cause. Any goroutine may call it.
func (n *Node) Reload(cause string) (config.Changes, error) {
	r := n.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	next, changes, err := r.loaded.Reload()
	if err == nil {
		err = n.apply(next)
	}
	r.results[err == nil].Inc()
	if err != nil {
		n.logger.Error("configuration refused, the old values stay in force", zap.String("cause", cause), zap.Error(err))
		return changes, err
	}
	n.logger.Info("configuration reloaded", zap.String("cause", cause), zap.Strings("applied", changes.Applied))
	n.requestRestart(changes)
	return changes, nil
}

// requestRestart reports the keys whose new values need a restart. The caller holds reloads.mu.
func (n *Node) requestRestart(changes config.Changes) {
	n.reloads.restart.Set(float64(len(changes.Restart)))
	if len(changes.Restart) > 0 {
		n.logger.Warn("configuration keys need a restart", zap.Strings("keys", changes.Restart))
	}
}

// reloadSecrets reads the files of secrets again. It logs an error once, until another one occurs.
func (n *Node) reloadSecrets() error {
	r := n.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	next, changes, err := r.loaded.ReloadSecrets()
	if err == nil && len(changes.Applied) == 0 {
		r.failed = ""
		n.requestRestart(changes)
		return nil
	}
	if err == nil {
		err = n.apply(next)
	}
	if err == nil {
		r.failed = ""
		r.results[true].Inc()
		n.logger.Info("configuration reloaded", zap.String("cause", "file of a secret"),
			zap.Strings("applied", changes.Applied))
		n.requestRestart(changes)
		return nil
	}
	if err.Error() != r.failed {
		r.failed = err.Error()
		r.results[false].Inc()
		n.logger.Error("secrets refused, the old ones stay in force", zap.Error(err))
	}
	return err
}

// watchSecrets returns the task that reads secrets again when their files change.
func (n *Node) watchSecrets() Task {
	return watch.Files{
		Paths: func() []string {
			n.reloads.mu.Lock()
			defer n.reloads.mu.Unlock()
			return n.reloads.loaded.SecretFiles()
		},
		Changed: n.reloadSecrets,
	}.Run
}

// reloadOperation is the action of the operator API; nil: the node has no sources of its configuration.
func (n *Node) reloadOperation() func(context.Context) (any, error) {
	if !n.reloads.possible {
		return nil
	}
	return func(context.Context) (any, error) {
		changes, err := n.Reload("operator")
		if err != nil {
			return nil, console.BadRequest(err.Error())
		}
		return changes, nil
	}
}

// apply puts the values of reloadable keys into force. The caller holds reloads.mu.
func (n *Node) apply(next *config.Loaded) error {
	c := &next.Config
	level, err := zapcore.ParseLevel(c.Log.Level)
	if err != nil {
		return err
	}
	if err := n.applySecrets(c); err != nil {
		return err
	}
	if err := n.transport.SetOrigins(c.Origins); err != nil {
		return err
	}
	n.dispatcher.SetQuota(c.Quotas.Events)
	n.hub.SetLimits(n.hubLimits(c))
	n.hub.SetResync(c.Resync.Window, c.Resync.CloseWindow, c.Resync.Rate)
	n.transport.SetLimits(n.transportLimits(c))
	if n.level != nil {
		n.level.SetLevel(level)
	}
	known := n.reloads.loaded.Warnings()
	for _, warning := range next.Warnings() {
		if !slices.Contains(known, warning) {
			n.logger.Warn("configuration warning", zap.String("option", warning))
		}
	}
	n.live.Store(c)
	n.reloads.loaded = next
	return nil
}

// applySecrets puts secrets into force.
func (n *Node) applySecrets(c *config.Config) error {
	if err := n.verifier.SetSecrets(c.Auth.HMACSecret, c.Auth.PreviousHMACSecret); err != nil {
		return err
	}
	secret, previous := connectionSecrets(c)
	before, _ := connectionSecrets(n.live.Load())
	if len(secret) > 0 || len(before) > 0 { // without a secret, the random key stays
		if err := n.transport.SetSecrets(secret, previous...); err != nil {
			return err
		}
		if err := n.relay.setSecrets(secret, previous); err != nil {
			return err
		}
	}
	if n.queries != nil {
		if err := n.queries.setSecrets(secret, previous...); err != nil {
			return err
		}
	}
	if n.console != nil {
		n.console.SetToken(c.Console.Token)
		n.console.SetRoleTokens(c.Console.ReadToken, c.Console.PublishToken)
	}
	if n.directory.setToken != nil {
		n.directory.setToken(c.Directory.Token)
	}
	n.tracer.SetHeaders(c.Tracing.Headers)
	return nil
}

// login returns the user and the password for the next connection to Redis.
func (n *Node) login() (username, password string) {
	c := n.live.Load()
	return c.Redis.Username, c.Redis.Password
}

// sentinelLogin returns the user and the password for the next connection to a Sentinel.
func (n *Node) sentinelLogin() (username, password string) {
	c := n.live.Load()
	return c.Redis.SentinelUsername, c.Redis.SentinelPassword
}

// connectionSecrets returns the secret from which the nodes derive the keys of connection tokens and of their messages,
// and those that they accept besides.
func connectionSecrets(c *config.Config) (secret []byte, previous [][]byte) {
	previous = [][]byte{[]byte(c.Connection.PreviousSecret)}
	if c.Connection.Secret != "" {
		return []byte(c.Connection.Secret), previous
	}
	return []byte(c.Auth.HMACSecret), append(previous, []byte(c.Auth.PreviousHMACSecret))
}

// StopTimeout returns how long a stop may take.
func (n *Node) StopTimeout() time.Duration { return n.live.Load().Shutdown.Timeout }
