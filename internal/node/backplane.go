package node

import (
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// laneOf returns the function that names the lane of a topic.
func laneOf(c *config.Redis) func(events.Topic) string {
	lanes := layout(c)
	return func(topic events.Topic) string { return lanes.Lane(topic.Organization, topic.Entity) }
}

// layout returns how events are spread over lanes, and the names of channels and keys.
func layout(c *config.Redis) backplane.Layout {
	return backplane.Layout{Prefix: c.Prefix, Lanes: c.Lanes}
}

// NewBackplane makes the configured backplane: Redis or, without redis.addresses, the process itself. The in-process
// backplane loses no events and never calls losses.
func NewBackplane(c *config.Redis, losses backplane.Losses, o backplane.Options) (backplane.Backplane, error) {
	o.Layout = layout(c)
	if len(c.Addresses) == 0 {
		return backplane.NewMemory(o), nil
	}
	options, err := RedisOptions(c, o)
	if err != nil {
		return nil, err
	}
	options.Losses = losses
	return redis.New(options)
}

// newBackplane is NewBackplane for the node: users, passwords and files of TLS may change, and it receives losses.
func (n *Node) newBackplane(o backplane.Options) (backplane.Backplane, error) {
	c := &n.config.Redis
	if len(c.Addresses) == 0 {
		return NewBackplane(c, n, o)
	}
	files, err := newRedisTLS(c, n.tls, o.Logger)
	if err != nil {
		return nil, err
	}
	if c.TLS.Enabled {
		n.tasks = append(n.tasks, files.run)
	}
	options := redisOptions(c, files, o)
	options.Losses, options.Login, options.SentinelLogin = n, n.login, n.sentinelLogin
	return redis.New(options)
}

// RedisOptions returns the options of a backplane with the configured Redis.
func RedisOptions(c *config.Redis, o backplane.Options) (redis.Options, error) {
	files, err := newRedisTLS(c, nil, o.Logger)
	if err != nil {
		return redis.Options{}, err
	}
	return redisOptions(c, files, o), nil
}

func redisOptions(c *config.Redis, files *redisTLS, o backplane.Options) redis.Options {
	o.Layout = layout(c)
	return redis.Options{
		Options: o, Addresses: c.Addresses, Username: c.Username, Password: c.Password, DB: c.DB,
		NextTLS:        files.next,
		SentinelMaster: c.SentinelMaster, SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		Cluster: c.Cluster, Sharded: c.Sharded, Connections: c.Connections,
		Linger: c.Linger, Watch: c.Watch, ProbeInterval: c.ProbeInterval, ProbeTimeout: c.ProbeTimeout,
		DialTimeout: c.DialTimeout, CommandTimeout: c.CommandTimeout,
		LaneQueue: c.LaneQueueBytes, TotalQueue: c.TotalQueueBytes,
	}
}

// snapshotSource returns where the hub looks for last states; nil if no client gets snapshots.
func snapshotSource(c *config.Snapshots, b backplane.Backplane) hub.Snapshots {
	if c.Mode == config.SnapshotsOff {
		return nil
	}
	return b
}
