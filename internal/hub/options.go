package hub

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/tracing"
)

// Lanes bring the events of topics to this node: the hub does not import the backplane, which implements it. The
// methods may be called from any goroutine.
type Lanes interface {
	// Acquire returns when every event of the topics that is published from now on will arrive, or when ctx ends. It
	// returns nil, or one error per topic (nil where it succeeded). It counts each topic that succeeded.
	Acquire(ctx context.Context, topics []events.Topic) []error
	// Release releases topics that Acquire counted. It does not wait.
	Release(topics []events.Topic)
}

// subscriptions returns the number of subscriptions that a session with these claims may have.
func (l *Limits) subscriptions(claims *authz.Claims) int {
	if claims.Role == authz.RoleAgent && l.AgentSubscriptions > 0 {
		return min(l.Subscriptions, l.AgentSubscriptions)
	}
	return l.Subscriptions
}

// Authorization decides what clients may do, and what they may no longer do.
type Authorization struct {
	// Authorizer decides about Subscribe. Required.
	Authorizer authz.Authorizer
	// Rechecker decides again about granted subscriptions, see Hub.Recheck. nil: everything stays allowed.
	Rechecker Rechecker
	// Explain decides about a refused request again and returns the reasons, for operators. nil: no refusal is kept, and
	// clients with Features.Notices get no trace id.
	Explain func(context.Context, *authz.Claims, authz.Request) authz.Explanation
	// Denied receives each refused item of a Subscribe, before the client does. It must not wait. nil: not called.
	Denied func(*Session, Denied)
	// Revoked reports whether a token was revoked after it was verified. Open calls it. A revocation must be in force for
	// it before CloseIf is called for the open sessions. nil: no token is ever revoked.
	Revoked func(*authz.Claims) bool
}

// Limits bound what one client can ask for. The defaults, which the fields name, replace zero values.
type Limits struct {
	// Subscriptions is the number of subscriptions that a session may have. Default: 10,000.
	Subscriptions int
	// AgentSubscriptions is the number that a session of an agent may have, if that is less. An agent needs few; the
	// token of one agent must not take much of the node. 0: no limit beside Subscriptions.
	AgentSubscriptions int
	// Quota is the number of subscriptions that the sessions of an organization may have together; further ones are
	// refused in the same words. 0: no limit.
	Quota int
	// Items is the number of items of one Subscribe that are decided; the others are answered with "Subscription limit
	// reached". Default: 2,000.
	Items int
	// MessageBytes and CallRate are limits of the transport, for the notice Limits: the largest message of a client, and
	// its calls per second (0: no limit).
	MessageBytes, CallRate int
	// ArgumentBytes is the largest size of the JSON text of an argument. Default: 512 KiB, twice the default size of a hub
	// message, because MessagePack grows a little when it becomes JSON.
	ArgumentBytes int
	// AnswerBytes bounds the memory that large answers of all sessions together take, from before they are built until
	// their clients have taken them. A user may have an eighth of it, an organization a quarter; one answer may take more
	// if it is alone. Calls wait for it. Default: 64 MiB.
	AnswerBytes int
	// Invocation is the time that a call may wait for a place in the invoker and run. Default: 10 s.
	Invocation time.Duration
	// Lanes is the time that Subscribe waits until the events of a new topic reach this node. Default: 2 s.
	Lanes time.Duration
	// Snapshot is the time that the hub looks for last states, behind the answer of Subscribe. Default: 500 ms.
	Snapshot time.Duration
}

// Options configure a Hub. Catalog, Dispatcher, Lanes and Authorization.Authorizer are required.
type Options struct {
	Catalog    *events.Catalog
	Dispatcher *fanout.Dispatcher
	Lanes      Lanes

	Authorization Authorization
	Limits        Limits
	Snapshots     SnapshotOptions
	Resync        ResyncOptions

	// HistoryBytes bounds the memory of what is remembered of sessions and subscriptions that have ended, see
	// Hub.Subscribers. 0: nothing is.
	HistoryBytes int

	// Pool is the number of invocations that run at once. Default: that of invoker.Options.
	Pool int

	// DetailedErrors adds the reason to the errors of calls, as EnableDetailedErrors of ASP.NET Core does.
	DetailedErrors bool

	// Jitter returns a random part of a duration. nil: rand.N. A simulation needs the same one each time.
	Jitter func(time.Duration) time.Duration
	// Tracer makes the spans of calls; nil: none.
	Tracer *tracing.Tracer
	// Registerer receives the metrics. nil: none are kept.
	Registerer prometheus.Registerer
	// Logger receives what should not happen. nil: nothing is logged.
	Logger *zap.Logger
}

// complete replaces zero values by defaults and returns an error that names the field that is missing or wrong.
func (o *Options) complete() error {
	for name, missing := range map[string]bool{
		"Catalog": o.Catalog == nil, "Dispatcher": o.Dispatcher == nil,
		"Lanes": o.Lanes == nil, "Authorization.Authorizer": o.Authorization.Authorizer == nil,
	} {
		if missing {
			return fmt.Errorf("hub: Options.%s is required", name)
		}
	}
	l, r := &o.Limits, &o.Resync
	for name, negative := range map[string]bool{
		"Limits.Subscriptions": l.Subscriptions < 0, "Limits.AgentSubscriptions": l.AgentSubscriptions < 0,
		"Limits.Quota": l.Quota < 0, "Limits.Items": l.Items < 0,
		"Limits.ArgumentBytes": l.ArgumentBytes < 0, "Limits.AnswerBytes": l.AnswerBytes < 0,
		"Limits.Invocation": l.Invocation < 0, "Limits.Lanes": l.Lanes < 0,
		"Limits.Snapshot": l.Snapshot < 0, "Resync.Window": r.Window < 0, "Resync.CloseWindow": r.CloseWindow < 0,
		"Resync.Rate": r.Rate < 0, "Resync.CloseRate": r.CloseRate < 0, "Pool": o.Pool < 0,
	} {
		if negative {
			return fmt.Errorf("hub: Options.%s must not be negative", name)
		}
	}
	l.setDefaults()
	l.ArgumentBytes = cmp.Or(l.ArgumentBytes, 512<<10)
	l.AnswerBytes = cmp.Or(l.AnswerBytes, 64<<20)
	l.Invocation = cmp.Or(l.Invocation, 10*time.Second)
	l.Lanes = cmp.Or(l.Lanes, 2*time.Second)
	l.Snapshot = cmp.Or(l.Snapshot, 500*time.Millisecond)
	r.Window = cmp.Or(r.Window, 10*time.Second)
	r.CloseWindow = cmp.Or(r.CloseWindow, time.Minute)
	r.Rate = cmp.Or(r.Rate, 500)
	if o.Authorization.Rechecker == nil {
		o.Authorization.Rechecker = allowEverything{}
	}
	if o.Authorization.Revoked == nil {
		o.Authorization.Revoked = func(*authz.Claims) bool { return false }
	}
	if o.Jitter == nil {
		o.Jitter = rand.N[time.Duration]
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return nil
}
