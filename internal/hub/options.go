package hub

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// Lanes bring the events of topics to this node. It may be used from any goroutine.
type Lanes interface {
	// Acquire returns when every event of the topics that is published from now on arrives, or ctx ends. It answers
	// nil, or one error per topic (nil where it worked). Each topic that worked is counted.
	Acquire(ctx context.Context, topics []events.Topic) []error
	// Release gives back what Acquire counted. It does not wait.
	Release(topics []events.Topic)
}

// Limits bound what one client can ask for. Zero values are replaced by the defaults that the fields name.
type Limits struct {
	// Subscriptions is how many subscriptions a session may have. Default: 10,000.
	Subscriptions int
	// Quota is how many the sessions of an organization may have together; more are refused in the same words.
	// 0: no limit.
	Quota int
	// Items is how many items of one Subscribe are looked at; the others are answered with "Subscription limit
	// reached". Default: 2,000.
	Items int
	// ArgumentBytes is how long the JSON text of an argument may be. Default: 64 KiB, twice what a hub message may
	// have by default, because MessagePack grows a little when it becomes JSON.
	ArgumentBytes int
	// Invocation is how long a call may wait for a place in the pool and run. Default: 10 s.
	Invocation time.Duration
	// Lanes is how long Subscribe waits until the events of a new topic reach this node. Default: 2 s.
	Lanes time.Duration
	// Snapshot is how long, behind the answer of Subscribe, last states are looked for. Default: 500 ms.
	Snapshot time.Duration
}

// Options are what a Hub needs.
type Options struct {
	// Catalog, Authorizer, Registry, Dispatcher and Lanes are required. Registry must be the Dispatcher's.
	Catalog    *events.Catalog
	Authorizer authz.Authorizer
	Registry   *subscriptions.Registry
	Dispatcher *fanout.Dispatcher
	Lanes      Lanes

	// Snapshots has the last states for clients with Features.Snapshot. nil: there are no snapshots.
	Snapshots Snapshots
	// SnapshotsForAll also sends them to clients that did not ask.
	SnapshotsForAll bool

	// Judge decides for Recheck. nil: everything stays allowed.
	Judge Judge
	// Explainer explains refusals to operators. nil: clients with Features.Notices get no trace.
	Explainer Explainer
	// Denied is told of each item of a Subscribe that was refused, before the client is. It must not wait. nil: nobody is.
	Denied func(*Session, Denied)
	// Revoked says whether a token was revoked meanwhile; Open asks. A revocation must be in force for it before CloseIf
	// is called for the sessions that are open. nil: no token ever is.
	Revoked func(*authz.Claims) bool

	Limits Limits
	Resync ResyncOptions
	// Pool is how many invocations run at once. Default: that of invoker.Options.
	Pool int

	// Registerer receives the metrics. nil: none are kept.
	Registerer prometheus.Registerer
	// Logger reports what should not happen. nil: nothing is logged.
	Logger *zap.Logger
}

// complete replaces zero values and says what is missing.
func (o *Options) complete() error {
	if o.Catalog == nil || o.Authorizer == nil || o.Registry == nil || o.Dispatcher == nil || o.Lanes == nil {
		return errors.New("hub needs a catalog, an authorizer, a registry, a dispatcher and lanes")
	}
	setDefault(&o.Limits.Subscriptions, 10_000)
	setDefault(&o.Limits.Items, 2_000)
	setDefault(&o.Limits.ArgumentBytes, 64<<10)
	setDefault(&o.Limits.Invocation, 10*time.Second)
	setDefault(&o.Limits.Lanes, 2*time.Second)
	setDefault(&o.Limits.Snapshot, 500*time.Millisecond)
	setDefault(&o.Resync.Window, 10*time.Second)
	setDefault(&o.Resync.Rate, 500)
	if o.Judge == nil {
		o.Judge = lenient{}
	}
	if o.Revoked == nil {
		o.Revoked = func(*authz.Claims) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Resync.Window < 0 || o.Resync.Rate < 0 {
		return errors.New("hub: window and rate of resync must not be negative")
	}
	l := o.Limits
	if l.Subscriptions < 0 || l.Quota < 0 || l.Items < 0 || l.ArgumentBytes < 0 || l.Invocation < 0 || l.Lanes < 0 || l.Snapshot < 0 || o.Pool < 0 {
		return errors.New("hub: limits and pool must not be negative")
	}
	return nil
}

// lenient is the Judge that takes nothing back.
type lenient struct{}

func (lenient) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	allowed := make([]bool, len(topics))
	for i := range allowed {
		allowed[i] = true
	}
	return allowed
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
