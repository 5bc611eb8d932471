package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
)

// Options say which Redis, and how. The zero values of the times and sizes are replaced by the defaults named.
type Options struct {
	backplane.Options

	// Addresses are host:port: of one server; of the Sentinels if SentinelMaster is set; of some servers of the
	// cluster if Cluster is set; of all servers if Sharded is set. Required.
	Addresses []string
	// Username and Password are those of the node's user on Redis; empty: none.
	Username, Password string
	// DB is the number of the database. It does not separate lanes: Redis channels are the same in all databases.
	DB int
	// TLS is used on every connection, those to the Sentinels included; nil: none.
	TLS *tls.Config
	// SentinelMaster is the name of the master that the Sentinels watch.
	SentinelMaster string
	// SentinelUsername and SentinelPassword are those of the node's user on the Sentinels.
	SentinelUsername, SentinelPassword string
	// Cluster says that the addresses are those of a Redis Cluster.
	Cluster bool

	// Sharded says that the lanes are spread over independent servers, lane by crc32_ieee(lane) mod their number: over
	// those at Addresses or, with Sentinels, over the masters that SentinelMaster names, separated by commas. All
	// nodes and publishers must have them in the same order.
	Sharded bool
	// Losses is told what listeners must fetch again; nil: nobody is.
	Losses backplane.Losses

	// Linger is how long a lane stays subscribed after its last listener has gone. Default 60 s.
	Linger time.Duration
	// ConfirmTimeout is how long Acquire waits for the confirmation of Redis. Default 2 s.
	ConfirmTimeout time.Duration
	// ProbeInterval is the time between two PINGs, and between two canaries. Default 500 ms.
	ProbeInterval time.Duration
	// ProbeTimeout is after what silence a connection is replaced. Default 2 s.
	ProbeTimeout time.Duration
	// DialTimeout is for dialing and for authentication, each. Default 2 s.
	DialTimeout time.Duration
	// CommandTimeout is for an ordinary command. Default 2 s.
	CommandTimeout time.Duration
	// MaxMessage is how many bytes of a message are read; larger ones are refused. Default 1 MiB.
	MaxMessage int
	// LaneQueue and TotalQueue bound the bytes of messages that wait for this node, of one lane and of all.
	// Default 8 MiB and 256 MiB.
	LaneQueue, TotalQueue int
	// JournalLength is about how many events the journal of a lane keeps that Publish adds to. Default 5000.
	JournalLength int
	// PeerMemory is how many bytes of the latest events without a journal are kept for nodes that missed them, of all
	// lanes together; negative: none. Default 64 MiB.
	PeerMemory int
	// Watch is how long a lane must have been listened to before its publishers are believed to write the journal, if it
	// has what they published; until then listeners are told of every time without a connection that other nodes cannot
	// make good for. Default 1 min.
	Watch time.Duration
	// CheckInterval is how often lanes with events without a position are compared with their journals. Default 10 s.
	CheckInterval time.Duration
	// Workers is how many goroutines hand events to the sink. Default: as many as there are processors.
	Workers int
	// Dial opens connections; nil: a net.Dialer. For tests that put something between the node and Redis.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Batches keep the answer of Redis to a resubscription far below the limit of its output buffers, which counts
// confirmations as it counts messages: 600,000 in one command would be 40 MB and end the connection.
const (
	batchLanes = 512             // lanes of a SUBSCRIBE
	lanesAhead = 16 * batchLanes // lanes that are asked for and not confirmed yet
)

// withDefaults checks the options and replaces zero values.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Catalog == nil || o.Sink == nil:
		return o, errors.New("redis backplane: catalog and sink are required")
	case len(o.Addresses) == 0:
		return o, errors.New("redis backplane: addresses are required")
	case o.Cluster && o.SentinelMaster != "":
		return o, errors.New("redis backplane: a cluster has no sentinel master")
	case o.Cluster && o.DB != 0:
		return o, errors.New("redis backplane: a cluster has no databases")
	case o.Cluster && o.Sharded:
		return o, errors.New("redis backplane: a cluster spreads the lanes itself")
	case !o.Cluster && !o.Sharded && o.SentinelMaster == "" && len(o.Addresses) > 1:
		return o, errors.New("redis backplane: several addresses need a sentinel master, a cluster or shards")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Dial == nil {
		dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
		o.Dial = dialer.DialContext
	}
	o.Linger = cmp.Or(o.Linger, time.Minute)
	o.ConfirmTimeout = cmp.Or(o.ConfirmTimeout, 2*time.Second)
	o.ProbeInterval = cmp.Or(o.ProbeInterval, 500*time.Millisecond)
	o.ProbeTimeout = cmp.Or(o.ProbeTimeout, 2*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.CommandTimeout = cmp.Or(o.CommandTimeout, 2*time.Second)
	o.MaxMessage = cmp.Or(o.MaxMessage, 1<<20)
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
