package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

// Others reaches the other nodes of the deployment. Its methods do nothing where there are none.
type Others interface {
	// Revoke shares a revocation with all nodes. An error means that this node may be the only one that knows it;
	// token.ErrNeverShared that the others will never learn it.
	Revoke(ctx context.Context, r token.Revocation) error
	// Disconnect sends a message to all nodes, whose Operator.TakeDisconnection gets it.
	Disconnect(ctx context.Context, message []byte) error
	// Follow requests the other nodes to run Operator.Feed until ctx ends, and calls take with the batches that they send,
	// one at a time. take must not wait. A node that comes later gets the request, too.
	Follow(ctx context.Context, request []byte, take func(node string, batch []byte))
	// Query sends a query to the other nodes, whose Operator.Answer gets it, and waits a bounded time for the answers.
	Query(ctx context.Context, query []byte) Replies
}

// OperatorOptions configure an Operator. All fields are required but Trace,
// Registerer and Level.
type OperatorOptions struct {
	Hub           *hub.Hub
	Gate          *authz.Gate
	Revocations   *token.Revocations
	RevocationTTL time.Duration // of revocations without an end
	Others        Others
	Drainer       Drainer
	Audit         *zap.Logger
	Node          string // name of this node
	Catalog       *events.Catalog
	Trace         *trace.Log                // nil: nothing is recorded
	Lane          func(events.Topic) string // names the lane of a topic
	LaneProblem   func() string             // why events do not arrive now; empty: they do
	Taps          *tap.Taps
	Lanes         hub.Lanes             // lets the events of a tap come to this node
	Registerer    prometheus.Registerer // of metrics; nil: none
	Gatherer      prometheus.Gatherer   // of the figures of the overview
	Readiness     *Readiness
	Redis         func() RedisView
	Organizations func() []OrganizationUse // of this node, with ID and without rates
	Level         *zap.AtomicLevel         // of the log; nil: it cannot change
	// ConfiguredLevel returns the level in the configuration.
	ConfiguredLevel func() zapcore.Level
	// Reload reads the configuration again. nil: the node has no sources of its configuration.
	Reload func(ctx context.Context) (answer any, err error)
}

// Operator carries out the actions of the operator API. Its methods may be called from any goroutine.
type Operator struct {
	hub         *hub.Hub
	gate        *authz.Gate
	revocations *token.Revocations
	ttl         time.Duration
	others      Others
	drainer     Drainer
	audit       *zap.Logger
	node        string
	catalog     *events.Catalog
	trace       *trace.Log
	lane        func(events.Topic) string
	laneProblem func() string
	taps        *tap.Taps
	lanes       hub.Lanes
	tapMetrics  *tapMetrics
	streams     *streams
	figures     *collector
	readiness   *Readiness
	redis       func() RedisView
	uses        *organizationUses
	level       *zap.AtomicLevel
	configured  func() zapcore.Level
	reload      func(ctx context.Context) (any, error)
	acted       numbers
}

// NewOperator makes the operator of a node. Its error names the field that is missing.
func NewOperator(o OperatorOptions) (*Operator, error) {
	for field, missing := range map[string]bool{
		"Hub": o.Hub == nil, "Gate": o.Gate == nil, "Revocations": o.Revocations == nil,
		"RevocationTTL": o.RevocationTTL <= 0, "Others": o.Others == nil, "Drainer": o.Drainer == nil,
		"Audit": o.Audit == nil,
		"Node":  o.Node == "", "Catalog": o.Catalog == nil, "Lane": o.Lane == nil,
		"LaneProblem": o.LaneProblem == nil, "Taps": o.Taps == nil, "Lanes": o.Lanes == nil,
		"Gatherer": o.Gatherer == nil, "Readiness": o.Readiness == nil, "Redis": o.Redis == nil,
		"Organizations": o.Organizations == nil, "ConfiguredLevel": o.Level != nil && o.ConfiguredLevel == nil,
	} {
		if missing {
			return nil, fmt.Errorf("console: OperatorOptions.%s is required", field)
		}
	}
	return &Operator{
		hub: o.Hub, gate: o.Gate, revocations: o.Revocations, ttl: o.RevocationTTL, others: o.Others, drainer: o.Drainer,
		audit: o.Audit,
		node:  o.Node, catalog: o.Catalog, trace: o.Trace, lane: o.Lane, laneProblem: o.LaneProblem,
		taps: o.Taps, lanes: o.Lanes, tapMetrics: newTapMetrics(o.Registerer), streams: newStreams(),
		figures: newCollector(o.Gatherer), readiness: o.Readiness, redis: o.Redis,
		level: o.Level, configured: o.ConfiguredLevel,
		uses: &organizationUses{count: o.Organizations}, reload: o.Reload,
	}, nil
}

// Operations returns the actions for the operator port.
func (o *Operator) Operations() Operations {
	all := Operations{
		Revoke: o.revoke, Explain: o.explain, Connections: o.connections, Disconnect: o.disconnect,
		Drain: o.onNode("drain"), CancelDrain: o.onNode("cancel-drain"), Shed: o.onNode("shed"),
		CancelShed: o.onNode("cancel-shed"), Departure: o.onNode("departure"),
		Nodes: o.nodes, Revocations: o.listRevocations, Undo: o.undo,
		Overview: o.overview, Organizations: o.organizations,
		LogLevel: o.onNode("log-level"), SetLogLevel: o.onNode("set-log-level"),
		Tap:   http.HandlerFunc(o.tap),
		Event: o.event, Events: o.events, Connection: o.connection, Topics: o.topics, DryRun: o.dryRun,
	}
	if o.reload != nil {
		all.Reload = o.onNode("reload")
	}
	return all
}

// sweepInterval is the time between two sweeps of expired revocations.
const sweepInterval = time.Minute

// Run removes expired revocations now and then, until ctx ends. Then it ends the streams and waits for them.
func (o *Operator) Run(ctx context.Context) error {
	defer o.streams.end()
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.revocations.Sweep()
		case <-ctx.Done():
			return nil
		}
	}
}

// reach names the nodes that carried out an action.
type reach string

const (
	allNodes reach = "all"
	thisNode reach = "this"
)

// onlyKeys refuses unknown and repeated parameters: a misspelt one must not be ignored.
func onlyKeys(query url.Values, known ...string) error {
	for key, values := range query {
		if !slices.Contains(known, key) {
			return BadRequest("unknown parameter " + strconv.Quote(key))
		}
		if len(values) > 1 {
			return BadRequest(key + ": is there twice")
		}
	}
	return nil
}
