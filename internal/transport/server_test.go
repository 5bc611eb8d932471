package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
	"github.com/rte-server/rte-server/internal/transport/hubprotocol"
)

// patience bounds the time that a test waits for something.
const patience = time.Minute

// The bearers of the tests. The token of each is the name; other tokens are refused.
var (
	organization = mustID("29f6e823-b484-e611-80c9-00505689257e")
	bearers      = verifier{
		"alice": {User: mustID("aa9730c4-ce86-e611-80c9-00505689257e"), Organization: organization, Role: authz.RoleAgent},
		"bob":   {User: mustID("bb9730c4-ce86-e611-80c9-00505689257e"), Organization: organization, Role: authz.RoleAgent},
		// The same user with another token: clients fetch one for each request.
		"carol": {
			User: mustID("cc9730c4-ce86-e611-80c9-00505689257e"), Organization: events.ID{0xcc}, Role: authz.RoleAgent,
		},
		"alice again": {User: mustID("aa9730c4-ce86-e611-80c9-00505689257e"), Organization: organization},
	}
)

func mustID(text string) events.ID {
	id, ok := events.ParseID(text)
	if !ok {
		panic("not a GUID: " + text)
	}
	return id
}

type verifier map[string]*authz.Claims

func (v verifier) Verify(text string) (*authz.Claims, error) {
	claims, ok := v[text]
	if !ok {
		return nil, token.ErrSignature
	}
	return claims, nil
}

// openDoor allows every subscription to a known event of an entity with a GUID.
type openDoor struct{ catalog *events.Catalog }

func (d openDoor) Authorize(_ context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
	decisions := make([]authz.Decision, len(requests))
	for i, request := range requests {
		entity, isID := events.ParseID(request.EntityID)
		kind, isEvent := d.catalog.Lookup(request.EventName)
		switch {
		case !isID:
			decisions[i].Refusal = authz.RefusedEntity
		case !isEvent:
			decisions[i].Refusal = authz.RefusedEvent
		default:
			decisions[i].Topic = events.Topic{Organization: claims.Organization, Entity: entity, Type: kind}
		}
	}
	return decisions
}

// lanes acquires every lane at once. While blocked is locked, Acquire waits for it or for its context.
type lanes struct{ blocked sync.Mutex }

func (l *lanes) Acquire(ctx context.Context, topics []events.Topic) []error {
	for !l.blocked.TryLock() {
		if ctx.Err() != nil {
			failed := make([]error, len(topics))
			for i := range failed {
				failed[i] = ctx.Err()
			}
			return failed
		}
		time.Sleep(time.Millisecond) // the time that Redis would take
	}
	l.blocked.Unlock()
	return nil
}

func (l *lanes) Release([]events.Topic) {}

// server is a node with an open port: the real transport, hub and fan-out.
type server struct {
	*transport.Handler
	t          *testing.T
	addr       string
	tls        bool
	catalog    *events.Catalog
	dispatcher *fanout.Dispatcher
	hub        *hub.Hub
	lanes      *lanes
	metrics    *prometheus.Registry
	logs       *observer.ObservedLogs
}

// setup holds the options of a test that differ from the defaults.
type setup struct {
	transport.Options
	fanout fanout.Options
	hub    hub.Options
	tls    *tls.Config
	web    func(*http.Server)                                         // changes it; nil: no change
	serve  func(*transport.Handler, *http.Server, net.Listener) error // nil: with an entrance
}

// withoutEntrance serves with net/http alone.
func withoutEntrance(_ *transport.Handler, server *http.Server, listener net.Listener) error {
	return server.Serve(listener)
}

func startServer(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &server{
		t: t, catalog: events.Builtin(), lanes: &lanes{}, metrics: prometheus.NewPedanticRegistry(), logs: logs,
	}
	o := setup{Options: transport.Options{Verifier: bearers, Logger: zap.New(core), Registerer: s.metrics}}
	o.Timeouts.Hold = time.Nanosecond // most tests fail more than once as one user
	o.fanout = fanout.Options{
		Tick: 5 * time.Millisecond, Registerer: s.metrics,
		JSON: hubprotocol.NewJSONEncoder(s.catalog), MessagePack: hubprotocol.NewMessagePackEncoder(
			s.catalog, events.PascalKeys,
		),
	}
	o.hub = hub.Options{
		Catalog: s.catalog, Authorization: hub.Authorization{Authorizer: openDoor{s.catalog}}, Lanes: s.lanes, Pool: 2,
		Registerer: s.metrics,
	}
	o.Open = func(conn hub.Conn, claims *authz.Claims) (transport.Session, error) {
		session, err := s.hub.Open(conn, claims)
		if err != nil {
			return nil, err
		}
		return session, nil
	}
	for _, change := range changes {
		change(&o)
	}
	var err error
	if s.dispatcher, err = fanout.New(o.fanout); err != nil {
		t.Fatal(err)
	}
	o.hub.Dispatcher = s.dispatcher
	if s.hub, err = hub.New(o.hub); err != nil {
		t.Fatal(err)
	}
	if s.Handler, err = transport.New(o.Options); err != nil {
		t.Fatal(err)
	}
	s.run(&o)
	return s
}

// run starts the node. After the test it stops it, in the order of a program.
func (s *server) run(o *setup) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	if s.tls = o.tls != nil; s.tls {
		listener = tls.NewListener(listener, o.tls)
	}
	serve := (*transport.Handler).Serve
	if o.serve != nil {
		serve = o.serve
	}
	ctx, cancel := context.WithCancel(context.Background())
	web := &http.Server{Handler: s, ReadHeaderTimeout: patience}
	if o.web != nil {
		o.web(web)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.dispatcher.Run(ctx) })
	running.Go(func() { _ = s.hub.Run(ctx) })
	running.Go(func() {
		if err := serve(s.Handler, web, listener); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("serve: %v", err)
		}
	})
	s.t.Cleanup(func() {
		s.Drain()
		_ = s.hub.Drain(ctx, hub.Pace{})
		stop, stopped := context.WithTimeout(ctx, time.Second)
		_ = s.Shutdown(stop) // aborts connections that the test left open
		stopped()
		_ = web.Close()
		cancel()
		running.Wait()
		if left := s.Connections(); left != 0 {
			s.t.Errorf("%d connections are left", left)
		}
		s.expectNothingHeld()
	})
}

// expectNothingHeld checks that the node, which has stopped, holds nothing for connections any more, by its own state
// and by its metrics.
func (s *server) expectNothingHeld() {
	s.t.Helper()
	var held []string
	defer func() {
		if len(held) > 0 {
			s.t.Logf("held: %v", held)
		}
	}()
	s.eventually("a node that holds nothing", func() bool { // net/http does not wait for the end of requests
		held = s.held()
		return len(held) == 0
	})
}

// held describes what the node holds.
func (s *server) held() []string {
	held := s.Leftovers()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Error(err)
	}
	for _, family := range families {
		name := family.GetName()
		if strings.Contains(name, "capacity") || strings.Contains(name, "limit") || name == "rte_hub_pool_size" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if n := metric.GetGauge().GetValue(); n != 0 {
				held = append(held, fmt.Sprint(name, metric.GetLabel(), n))
			}
		}
	}
	return held
}

// publish dispatches a published event of the test organization.
func (s *server) publish(eventType, entityType string, entity events.ID, more string) {
	s.t.Helper()
	ev, err := s.catalog.Decode([]byte(`{"EventType":"` + eventType + `","EntityType":"` + entityType +
		`","EntityId":"` + entity.String() + `","RootEntityType":"Organization","OrganizationId":"` +
		organization.String() + `"` + more + `}`))
	if err != nil {
		s.t.Fatal(err)
	}
	s.dispatcher.Dispatch(&ev)
}

// count returns the value of a metric, of a histogram how many values it has. labels are name, value, name, value.
func (s *server) count(name string, labels ...string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				for i := 0; i < len(labels); i += 2 {
					if label.GetName() == labels[i] && label.GetValue() != labels[i+1] {
						continue metrics
					}
				}
			}
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	s.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// eventually waits until a condition holds that no message announces.
func (s *server) eventually(what string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s", what)
		}
	}
}
