package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// Options configure a Backplane. Zero times and sizes get their defaults.
type Options struct {
	backplane.Options

	// Addresses are host:port of one server; of the Sentinels if SentinelMaster is set; of some servers of the cluster
	// if Cluster is set; of all servers if Sharded is set. Required.
	Addresses []string
	// Username and Password authenticate the node on Redis; empty: no authentication.
	Username, Password string
	// Login returns the user and the password of the next connection, in place of Username and Password. It must not
	// wait, and may be called from any goroutine. nil: they never change.
	Login func() (username, password string)
	// DB is the number of the database. It does not separate lanes: all databases share the Redis channels.
	DB int
	// TLS is used on every connection, including those to the Sentinels; nil: no TLS.
	TLS *tls.Config
	// NextTLS returns the value of TLS for the next connection, in the same way. nil: it never changes.
	NextTLS func() *tls.Config
	// SentinelMaster is the name of the master that the Sentinels watch.
	SentinelMaster string
	// SentinelUsername and SentinelPassword authenticate the node on the Sentinels.
	SentinelUsername, SentinelPassword string
	// SentinelLogin replaces them, as Login replaces Username and Password.
	SentinelLogin func() (username, password string)
	// Cluster means that the addresses are those of a Redis Cluster.
	Cluster bool

	// Sharded spreads the lanes over independent servers, by crc32_ieee(lane) mod their number. The servers are those
	// at Addresses or, with Sentinels, the masters that SentinelMaster names, separated by commas. All nodes and
	// publishers must list them in the same order.
	Sharded bool
	// Connections is over how many subscribed connections to each server the organizations are spread. One more
	// isolates those whose messages exceed the output buffers of Redis; 1: there is only one connection. Default 8.
	Connections int
	// Losses receives what subscribers must reload; may be nil.
	Losses backplane.Losses

	// Linger is how long a lane stays subscribed after its last subscriber has gone. Default 60 s.
	Linger time.Duration
	// ConfirmTimeout is how long Acquire waits for the confirmation of Redis; then the lane is in doubt. Default 2 s.
	ConfirmTimeout time.Duration
	// ProbeInterval is the time between two PINGs, and between two canaries. Default 500 ms.
	ProbeInterval time.Duration
	// ProbeTimeout is how long a connection may deliver nothing before it is replaced. Default 2 s.
	ProbeTimeout time.Duration
	// DialTimeout is for dialing and for authentication, separately. Default 2 s.
	DialTimeout time.Duration
	// CommandTimeout is for an ordinary command. Default 2 s.
	CommandTimeout time.Duration
	// PeerTimeout is how long a gap waits for the answer of another node. Default 2 s.
	PeerTimeout time.Duration
	// MaxMessage is the maximum size of a message in bytes; larger messages are refused unread. Default: 1 MiB, or
	// Catalog.MaxBytes with room for the text around an event, if that is more.
	MaxMessage int
	// LaneQueue and TotalQueue bound the bytes of messages that wait on this node, of one lane and of all lanes.
	// Default 8 MiB and 256 MiB.
	LaneQueue, TotalQueue int
	// JournalLength is about how many events Publish keeps in the journal of a lane. Default 5000.
	JournalLength int
	// PeerMemory is how many bytes of recent events without a journal are kept for other nodes, of all lanes together;
	// negative: none. Default 64 MiB.
	PeerMemory int
	// Watch is how long a lane must have been subscribed, with all its events in the journal, before its publishers
	// are trusted to write the journal. Until then, subscribers are notified of every interruption that other nodes
	// cannot repair. Default 1 min.
	Watch time.Duration
	// CheckInterval is how often lanes with events without a position are compared with their journals. Default 10 s.
	CheckInterval time.Duration
	// Workers is how many goroutines hand events to the sink. Default: the number of processors.
	Workers int
	// Dial opens connections; nil: a net.Dialer. Tests put something between the node and Redis.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Jitter returns a random part of a duration. nil: rand.N. A simulation needs the same one each time.
	Jitter func(time.Duration) time.Duration
}

// Batches keep the answer of Redis to a resubscription far below the limit of its output buffers. Redis counts
// confirmations like messages: 600,000 in one command would be 40 MB and end the connection.
const (
	batchLanes = 512             // lanes of a SUBSCRIBE
	lanesAhead = 16 * batchLanes // lanes that are requested and not confirmed yet
)

// aroundEvent is room for the text around an event in a message: the position of a journaled event, or the head of an
// answer of another node.
const aroundEvent = 4 << 10

// withDefaults checks the options and replaces zero values.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Catalog == nil:
		return o, errors.New("redis: Options.Catalog is required")
	case o.Sink == nil:
		return o, errors.New("redis: Options.Sink is required")
	case len(o.Addresses) == 0:
		return o, errors.New("redis: Options.Addresses is required")
	case o.Cluster && o.SentinelMaster != "":
		return o, errors.New("redis: Options.SentinelMaster and Options.Cluster exclude each other")
	case o.Cluster && o.DB != 0:
		return o, errors.New("redis: Options.DB must be 0 for a cluster")
	case o.Cluster && o.Sharded:
		return o, errors.New("redis: Options.Sharded and Options.Cluster exclude each other")
	case !o.Cluster && !o.Sharded && o.SentinelMaster == "" && len(o.Addresses) > 1:
		return o, errors.New("redis: several Options.Addresses need SentinelMaster, Cluster or Sharded")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Dial == nil {
		keepAlive := net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
		o.Dial = (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext
	}
	if o.Jitter == nil {
		o.Jitter = rand.N[time.Duration]
	}
	o.Connections = cmp.Or(o.Connections, 8)
	o.Linger = cmp.Or(o.Linger, time.Minute)
	o.ConfirmTimeout = cmp.Or(o.ConfirmTimeout, 2*time.Second)
	o.ProbeInterval = cmp.Or(o.ProbeInterval, 500*time.Millisecond)
	o.ProbeTimeout = cmp.Or(o.ProbeTimeout, 2*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.CommandTimeout = cmp.Or(o.CommandTimeout, 2*time.Second)
	o.MaxMessage = cmp.Or(o.MaxMessage, max(1<<20, o.Catalog.MaxBytes()+aroundEvent))
	o.LaneQueue = cmp.Or(o.LaneQueue, 8<<20)
	o.PeerMemory = cmp.Or(o.PeerMemory, 64<<20)
	o.SnapshotMemory = cmp.Or(o.SnapshotMemory, backplane.DefaultSnapshotMemory)
	o.Watch = cmp.Or(o.Watch, time.Minute)
	o.CheckInterval = cmp.Or(o.CheckInterval, 10*time.Second)
	o.JournalLength = cmp.Or(o.JournalLength, 5000)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.TotalQueue = cmp.Or(o.TotalQueue, 256<<20)
	return o, nil
}
