package command

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// Options are what a Client needs. All fields are required, but one of Cluster and Servers.
type Options struct {
	// Catalog decodes the published events.
	Catalog *events.Catalog
	// Layout maps events to lanes.
	Layout backplane.Layout
	// JournalLength is about how many events the journal of a lane keeps.
	JournalLength int
	// Timeout is for the commands whose caller sets no deadline of its own.
	Timeout time.Duration
	// Cluster sends to a Redis Cluster.
	Cluster *goredis.ClusterClient
	// Servers are independent servers, over which the lanes are spread by crc32_ieee(lane) mod their number.
	Servers []Server
}

// Server is an independent server, or a master with its replicas.
type Server struct {
	Name   string // for errors
	Client goredis.UniversalClient
}

// Client sends commands. Its methods may be called from any goroutine, also while Redis is away.
type Client struct {
	options Options
	script  *goredis.Script // publishes on servers that have no functions
}

// New makes a Client. It takes over the clients in the options: Close closes them.
func New(o Options) *Client {
	return &Client{options: o, script: goredis.NewScript(Script())}
}

// Close closes all connections.
func (c *Client) Close() error {
	if c.options.Cluster != nil {
		return c.options.Cluster.Close()
	}
	var err error
	for _, s := range c.options.Servers {
		err = errors.Join(err, s.Client.Close())
	}
	return err
}

// Cluster returns the client of the cluster; nil if there is none.
func (c *Client) Cluster() *goredis.ClusterClient { return c.options.Cluster }

// Servers returns the independent servers; none if there is a cluster.
func (c *Client) Servers() []Server { return c.options.Servers }

// For returns the client for a key or a channel.
func (c *Client) For(key string) goredis.UniversalClient {
	if c.options.Cluster != nil {
		return c.options.Cluster
	}
	return c.options.Servers[ServerIndex(key, len(c.options.Servers))].Client
}

// ServerIndex returns which of n independent servers has a key or a channel.
func ServerIndex(key string, n int) int {
	if n == 1 {
		return 0
	}
	return int(crc32.ChecksumIEEE([]byte(key)) % uint32(n)) //nolint:gosec // a few servers
}

// Send implements backplane.Control.
func (c *Client) Send(ctx context.Context, channel string, message []byte) error {
	channel = c.options.Layout.Named(channel)
	if err := Publish(ctx, c.For(channel), c.options.Cluster != nil, channel, message).Err(); err != nil {
		return fmt.Errorf("%w: %w", backplane.ErrUnavailable, err)
	}
	return nil
}

// Publish publishes a message on a channel, without a journal. The result is the number of receivers, or the error.
func Publish(ctx context.Context, through goredis.Cmdable, cluster bool, channel string, message any) *goredis.IntCmd {
	if cluster {
		return through.SPublish(ctx, channel, message)
	}
	return through.Publish(ctx, channel, message)
}

// publishWord is the command that the publishing function sends to the subscribers.
func (c *Client) publishWord() string {
	if c.options.Cluster != nil {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// Unsupported reports whether Redis does not know a command: it is older, or the operator renamed the command.
func Unsupported(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command")
}

// Denied reports whether Redis will not execute a command, now or later: it is Refused or Unsupported.
func Denied(err error) bool { return Refused(err) || Unsupported(err) }

// Refused reports whether Redis will not answer, now or later: the node's user may not read the key, or the key has
// another type.
func Refused(err error) bool { return goredis.HasErrorPrefix(err, "NOPERM") || wrongType(err) }

// wrongType reports whether a key has another type, or a counter is no number.
func wrongType(err error) bool {
	return goredis.HasErrorPrefix(err, "WRONGTYPE") ||
		err != nil && strings.Contains(err.Error(), "value is not an integer")
}
