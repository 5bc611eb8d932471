package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"

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
	"github.com/rte-server/rte-server/internal/logsink"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
	"github.com/rte-server/rte-server/internal/tracing"
	"github.com/rte-server/rte-server/internal/transport"
)

// Task runs until its context ends, or until it fails.
type Task func(ctx context.Context) error

// Options configure a Node.
type Options struct {
	Config  *config.Config   // required; checked by config.CheckServer or config.CheckDev
	Loaded  *config.Loaded   // has Config; nil: the configuration cannot be read again
	Logger  *zap.Logger      // required
	Level   *zap.AtomicLevel // of Logger; nil: it cannot change
	Sink    *logsink.Sink    // of Logger; nil: no metrics of the log
	Version string           // of the program; shown by the metric rte_build_info

	// Directory replaces the directory of Config. nil: the one of Config.
	Directory authz.Directory
	// Next answers requests outside the path of the hub. nil: they get 404.
	Next http.Handler
}

// Node is an assembled server. New makes it; Run may be called once.
type Node struct {
	name     string                        // by which operators and other nodes know it
	config   *config.Config                // as of the start
	live     atomic.Pointer[config.Config] // in force
	reloads  *reloads
	logger   *zap.Logger
	level    *zap.AtomicLevel // of logger; nil: it cannot change
	audit    *audit
	registry *prometheus.Registry // of metrics
	files    files
	memory   nodeMemory

	catalog    *events.Catalog
	ingress    *events.Ingress
	trace      *trace.Log
	taps       *tap.Taps
	dispatcher *fanout.Dispatcher
	backplane  backplane.Backplane

	revocations *token.Revocations
	verifier    *token.Verifier
	directory   liveDirectory
	gate        *authz.Gate

	hub       *hub.Hub
	relay     *nodeRelay // nil: relay.listen is empty, or there are no other nodes
	transport *transport.Handler
	others    others
	tracer    *tracing.Tracer // nil: no tracing
	queries   *nodeQueries    // nil: the nodes share no secret
	peers     *peers
	drainer   *drainer
	operator  *console.Operator
	readiness *console.Readiness

	console   *console.Server // nil: console.listen is empty
	tls       *tlsMetrics
	clients   *server
	operators *server // nil: console.listen is empty
	tasks     []Task  // besides the servers of the two ports
}

// New assembles a node and opens its ports. It starts nothing: the caller must call Run, which also closes the ports.
func New(o Options) (*Node, error) {
	switch {
	case o.Config == nil:
		return nil, errors.New("node: Options.Config is required")
	case o.Logger == nil:
		return nil, errors.New("node: Options.Logger is required")
	}
	registry := newMetricRegistry(o.Version)
	n := &Node{
		name: nodeName(), config: o.Config, logger: o.Logger, level: o.Level, registry: registry,
		files: divideFiles(descriptors(), o.Config),
		audit: newAudit(o.Logger, o.Config.Log.AuditRate, registry),
	}
	n.memory = newMemory(&o.Config.Memory, os.Getenv, os.DirFS("/"))
	n.memory.log(n.logger)
	n.tls = newTLSMetrics(registry)
	n.live.Store(o.Config)
	n.reloads = newReloads(o.Loaded, registry)
	if o.Loaded != nil {
		n.tasks = append(n.tasks, n.watchSecrets())
	}
	for _, assemble := range []func(*Options) error{
		n.assembleTracing, n.assembleEvents, n.assembleAuthorization, n.assembleHub, n.assembleRelay, n.assembleTransport,
		n.assembleControl, n.listen,
	} {
		if err := assemble(&o); err != nil {
			return nil, err
		}
	}
	if o.Sink != nil {
		registerLogMetrics(o.Sink, registry)
		n.tasks = append(n.tasks, reportDropped(o.Sink, n.logger, droppedInterval))
	}
	n.tasks = append(n.tasks, newCollector(n.config.Memory.GCPercent, n.memory.limit).run, n.dispatcher.Run,
		n.backplane.Run, n.hub.Run, n.verifier.Run, n.directory.run, n.gate.Run, n.tracer.Run, n.operator.Run,
		n.audit.dropped.run)
	return n, nil
}

// ClientAddr returns the address of the port for clients.
func (n *Node) ClientAddr() net.Addr { return n.clients.listener.Addr() }

// OperatorAddr returns the address of the operator port; nil if there is none.
func (n *Node) OperatorAddr() net.Addr {
	if n.operators == nil {
		return nil
	}
	return n.operators.listener.Addr()
}

// Backplane returns the backplane that the node publishes through.
func (n *Node) Backplane() backplane.Backplane { return n.backplane }

// Catalog returns the catalog of the node's events.
func (n *Node) Catalog() *events.Catalog { return n.catalog }

// Registry returns the metric registry of the node.
func (n *Node) Registry() *prometheus.Registry { return n.registry }
