package simtest_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

var catalog = events.Builtin()

// node is a node of the deployment: its real parts, between the model Redis and the model sockets.
type node struct {
	number      int
	metrics     *prometheus.Registry
	dispatcher  *fanout.Dispatcher
	backplane   *redis.Backplane
	hub         *hub.Hub
	transport   *transport.Handler
	web         *http.Server
	port        *port
	revocations *token.Revocations
	cancel      context.CancelFunc
	running     sync.WaitGroup
}

// resumeWindow is how long a connection waits for another socket.
const resumeWindow = 30 * time.Second

// startNode assembles and starts a node, as internal/node does.
func startNode(w *world, number int) (*node, error) {
	n := &node{number: number, metrics: prometheus.NewRegistry(), port: newPort()}
	n.revocations = token.NewRevocations(0, n.metrics)
	var err error
	n.dispatcher, err = fanout.New(fanout.Options{
		JSON:        hubprotocol.NewJSONEncoder(catalog),
		MessagePack: hubprotocol.NewMessagePackEncoder(catalog, events.PascalKeys),
		State:       catalog.StateKey, Types: catalog.Names(), Shards: 2, Registerer: n.metrics,
		Outbox: fanout.OutboxOptions{Bytes: 16 << 10}, Resume: fanout.ResumeOptions{Bytes: 16 << 10},
	})
	if err != nil {
		return nil, err
	}
	n.backplane, err = redis.New(redis.Options{
		Options: backplane.Options{
			Catalog: catalog, Sink: n.dispatcher, Registerer: n.metrics,
			Decoder: events.NewIngress(events.IngressOptions{Catalog: catalog}),
		},
		Addresses: []string{"redis:6379"}, Connections: 1, Workers: 2, JournalLength: journalLength,
		Watch: w.watch(), Losses: n, Dial: w.redis.dial(number), Jitter: half,
	})
	if err != nil {
		return nil, err
	}
	n.hub, err = hub.New(hub.Options{
		Catalog: catalog, Dispatcher: n.dispatcher, Lanes: n.backplane, Pool: 2, Jitter: half, Registerer: n.metrics,
		Authorization: hub.Authorization{Authorizer: w.door, Rechecker: w.door, Revoked: n.revocations.Check},
		Snapshots:     hub.SnapshotOptions{Source: n.backplane},
		Resync:        hub.ResyncOptions{Lane: laneOf, Window: 1, CloseWindow: 1},
	})
	if err != nil {
		return nil, err
	}
	n.transport, err = transport.New(transport.Options{
		Open: n.open, Verifier: verifier{n.revocations}, Registerer: n.metrics,
		Tokens:   transport.TokenOptions{Revoked: n.revocations.Check},
		Resume:   transport.ResumeOptions{Window: resumeWindow},
		Timeouts: transport.Timeouts{Hold: time.Nanosecond},
	})
	if err != nil {
		return nil, err
	}
	n.web = &http.Server{Handler: n.transport, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.running.Go(func() { _ = n.backplane.Run(ctx) })
	n.running.Go(func() { _ = n.dispatcher.Run(ctx) })
	n.running.Go(func() { _ = n.hub.Run(ctx) })
	n.running.Go(func() { _ = n.transport.Serve(n.web, n.port) })
	return n, nil
}

// watch returns how long a node distrusts the publishers of a lane. It never trusts those that write no journal: it
// would notify clients of no loss.
func (w *world) watch() time.Duration {
	if w.tiers[0] == 0 {
		return 24 * time.Hour
	}
	return time.Second
}

// half is a jitter that is the same each time.
func half(d time.Duration) time.Duration { return d / 2 }

func (n *node) open(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
	session, err := n.hub.Open(conn, claims)
	if err != nil {
		return nil, err
	}
	return session, nil
}

// Lost implements backplane.Losses.
func (n *node) Lost(loss backplane.Loss) {
	n.hub.Lost(hub.Loss{
		Organization: loss.Organization, Lane: loss.Lane, From: loss.From, To: loss.To, Reason: loss.Reason.String(),
	})
}

// revoke puts a revocation into force, as an operator does.
func (n *node) revoke(r token.Revocation) error {
	if _, err := n.revocations.Add(r); err != nil {
		return err
	}
	n.hub.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return r.Covers(s.Claims()) })
	return nil
}

// stop ends the node in the order of a program.
func (n *node) stop() {
	n.transport.Drain()
	_ = n.hub.Drain(context.Background(), hub.Pace{})
	limited, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = n.transport.Shutdown(limited)
	_ = n.web.Close()
	n.cancel()
	n.running.Wait()
}

// gauge returns the sum of a metric over its labels, and false if there is none.
func (n *node) gauges() (map[string]float64, error) {
	families, err := n.metrics.Gather()
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			all[family.GetName()] += metric.GetGauge().GetValue()
		}
	}
	return all, nil
}

// verifier takes tokens of the form NAME.NUMBER.
type verifier struct{ revocations *token.Revocations }

func (v verifier) Verify(text string) (*authz.Claims, error) {
	name, _, _ := strings.Cut(text, ".")
	for i := range people {
		if p := &people[i]; p.name == name {
			claims := &authz.Claims{
				User: p.id, Organization: p.organization, Role: authz.RoleAgent, TokenID: text, IssuedAt: time.Now(),
			}
			if v.revocations.Check(claims) {
				return nil, token.ErrRevoked
			}
			return claims, nil
		}
	}
	return nil, token.ErrSignature
}

// door is the policy: who may subscribe to the events of whom.
type door struct {
	mu        sync.Mutex
	forbidden map[[2]events.ID]bool // guarded by mu; user and entity
}

func (d *door) allows(claims *authz.Claims, organization, entity events.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return organization == claims.Organization && !d.forbidden[[2]events.ID{claims.User, entity}]
}

// set allows or forbids, and reports whether that is a change.
func (d *door) set(user, entity events.ID, forbidden bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := [2]events.ID{user, entity}
	if d.forbidden[key] == forbidden {
		return false
	}
	d.forbidden[key] = forbidden
	return true
}

func (d *door) Authorize(_ context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
	decisions := make([]authz.Decision, len(requests))
	for i, r := range requests {
		entity, _ := events.ParseID(r.EntityID)
		kind, _ := catalog.Lookup(r.EventName)
		at := slices.IndexFunc(people, func(p person) bool { return p.id == entity })
		if at < 0 || !d.allows(claims, people[at].organization, entity) {
			decisions[i].Refusal = authz.RefusedUnauthorized
			continue
		}
		decisions[i].Topic = events.Topic{Organization: claims.Organization, Entity: entity, Type: kind}
	}
	return decisions
}

func (d *door) Recheck(_ context.Context, claims *authz.Claims, topics []events.Topic) []bool {
	allowed := make([]bool, len(topics))
	for i, t := range topics {
		allowed[i] = d.allows(claims, t.Organization, t.Entity)
	}
	return allowed
}
