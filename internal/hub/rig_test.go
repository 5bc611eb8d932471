package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conn is a connection whose frames are lines of text.
type conn struct {
	protocol fanout.Protocol
	features hub.Features
	// onFrame, if set, sees every line when it is written.
	onFrame func(line string)
	// thaw, if set, thaws the connection when it is closed.
	thaw chan struct{}

	mu       sync.Mutex // guards the following fields
	received strings.Builder
	frozen   bool
	broken   error
	ended    int
}

func (*conn) Warm() {}

func (c *conn) TryWrite(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen || c.broken != nil {
		return 0, c.broken
	}
	c.received.Write(p)
	if c.onFrame != nil {
		for line := range strings.Lines(string(p)) {
			c.onFrame(strings.TrimSuffix(line, "\n"))
		}
	}
	return len(p), nil
}

func (c *conn) WriteAll(p []byte) error {
	if c.thaw == nil {
		return errors.New("frozen for good")
	}
	<-c.thaw
	c.mu.Lock()
	c.frozen = false
	c.mu.Unlock()
	_, err := c.TryWrite(p)
	return err
}

func (c *conn) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

func (c *conn) KeepAlive(time.Time) ([]byte, time.Duration, bool) { return nil, time.Minute, true }

func (c *conn) Final(reason fanout.EndReason) []byte {
	return []byte("final " + reason.String() + "\n")
}

func (c *conn) Ended(fanout.EndReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
}

func (c *conn) Owner() fanout.Owner { return fanout.Owner{} }

func (c *conn) ID() string { return "connection" }

func (c *conn) Protocol() fanout.Protocol { return c.protocol }

func (c *conn) Features() hub.Features { return c.features }

func (c *conn) Resumes() bool { return false }

func (c *conn) Lost() {}

func (c *conn) Sequence(uint64) []byte { return nil }

func (c *conn) Remote() hub.Remote { return hub.Remote{} }

func (c *conn) EncodeCompletion(completion *hub.Completion) []byte {
	switch {
	case completion.Record != nil:
		return append(completion.Record, '\n')
	case completion.Error != "":
		return fmt.Appendf(nil, "%s error %s\n", completion.ID, completion.Error)
	case c.protocol == fanout.ProtocolMessagePack:
		return fmt.Appendf(nil, "%s result %T\n", completion.ID, completion.Result)
	default:
		value := completion.Result
		if list, ok := value.(hub.SubscriptionList); ok {
			all := []any{}
			for i := range list.Len() {
				all = append(all, list.At(i))
			}
			value = all
		}
		result, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		return fmt.Appendf(nil, `{"type":3,"invocationId":%q,"result":%s}`+"\n", completion.ID, result)
	}
}

func (c *conn) EncodeNotice(n hub.Notice) []byte {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "%s %s\n", n.Target(), text)
}

func (c *conn) EncodeClose(reason hub.CloseReason) []byte {
	return []byte("close " + reason.String() + "\n")
}

// lines returns the lines that were written since the last call.
func (c *conn) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.received.String()
	c.received.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// lineEncoder makes frames of events: "event", the subscription id and the data of the event.
type lineEncoder struct{}

func (lineEncoder) Encode(ev *events.Event) (fanout.Frame, error) {
	frame := append([]byte("event "), make([]byte, 36)...)
	return fanout.Frame{Bytes: fmt.Appendf(frame, " %s\n", ev.Data), IDOffset: len("event ")}, nil
}

// authorizer is an authz.Authorizer as a function.
type authorizer func(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision

func (a authorizer) Authorize(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
	return a(ctx, claims, requests)
}

// deciding makes an Authorization of a function and a Rechecker; nil: the default.
func deciding(r hub.Rechecker, f authorizer) hub.Authorization {
	a := hub.Authorization{Rechecker: r}
	if f != nil {
		a.Authorizer = f
	}
	return a
}

// allowAll grants every event of every GUID, except for entities that begin with f.
func allowAll(_ context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
	decisions := make([]authz.Decision, len(requests))
	for i, r := range requests {
		entity, ok := events.ParseID(r.EntityID)
		event, known := catalog.Lookup(r.EventName)
		switch {
		case !ok:
			decisions[i].Refusal = authz.RefusedEntity
		case !known:
			decisions[i].Refusal = authz.RefusedEvent
		case entity[0] >= 0xf0:
			decisions[i].Refusal = authz.RefusedUnauthorized
		default:
			decisions[i].Topic = events.Topic{Organization: claims.Organization, Entity: entity, Type: event}
		}
	}
	return decisions
}

// lanes count the topics that are held.
type lanes struct {
	// acquire, if set, decides; it may wait for ctx.
	acquire func(ctx context.Context, topics []events.Topic) []error

	mu   sync.Mutex // guards held
	held map[events.Topic]int
}

func (l *lanes) Acquire(ctx context.Context, topics []events.Topic) []error {
	var errs []error
	if l.acquire != nil {
		errs = l.acquire(ctx, topics)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, topic := range topics {
		if errs == nil || errs[i] == nil {
			l.held[topic]++
		}
	}
	return errs
}

func (l *lanes) Release(topics []events.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		if l.held[topic]--; l.held[topic] == 0 {
			delete(l.held, topic)
		}
	}
}

// count returns the number of topics that are held, each as often as it was acquired.
func (l *lanes) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, held := range l.held {
		n += held
	}
	return n
}

var (
	catalog      = events.Builtin()
	organization = events.ID{0: 0x29, 15: 0x7e}
)

// rig is a hub with everything below it.
type rig struct {
	*hub.Hub
	dispatcher *fanout.Dispatcher
	lanes      *lanes
	metrics    *prometheus.Registry
	options    hub.Options
}

// newRig completes the options and makes the hub. A tick of an hour lets tests of fake time sleep for long.
func newRig(t testing.TB, o hub.Options) *rig {
	t.Helper()
	r := &rig{
		lanes:   &lanes{held: map[events.Topic]int{}},
		metrics: prometheus.NewRegistry(),
	}
	var err error
	r.dispatcher, err = fanout.New(fanout.Options{
		JSON: lineEncoder{}, MessagePack: lineEncoder{}, Shards: 2, Tick: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Catalog, o.Dispatcher, o.Lanes, o.Registerer = catalog, r.dispatcher, r.lanes, r.metrics
	if o.Authorization.Authorizer == nil {
		o.Authorization.Authorizer = authorizer(allowAll)
	}
	if o.Logger == nil {
		o.Logger = zaptest.NewLogger(t)
	}
	r.options = o
	if r.Hub, err = hub.New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs the rig until the function it returns is called.
func (r *rig) start(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.dispatcher.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// run runs test in fake time and checks afterwards that its sessions left nothing behind.
func run(t *testing.T, o hub.Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		defer r.start(t)()
		test(t, r)
		for s := range r.Sessions().All() {
			s.Close(hub.CloseGone)
		}
		synctest.Wait()
		r.nothingLeft(t)
	})
}

func (r *rig) nothingLeft(t *testing.T) {
	t.Helper()
	if n := r.Sessions().Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if n := r.dispatcher.Topics(); n != 0 {
		t.Errorf("%d topics have subscriptions left", n)
	}
	if n := r.lanes.count(); n != 0 {
		t.Errorf("%d lanes are left", n)
	}
	if n := r.metric(t, "rte_hub_subscriptions_active"); n != 0 {
		t.Errorf("%v subscriptions are counted", n)
	}
	if n := r.metric(t, "rte_hub_pool_busy"); n != 0 {
		t.Errorf("%v places in the pool are busy", n)
	}
}

// metric returns the sum of a counter or gauge over the series with the given label values.
func (r *rig) metric(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for i, label := range labels {
				if m.GetLabel()[i].GetValue() != label {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// client is a session and its connection.
type client struct {
	*hub.Session
	*conn
}

// connect opens a session.
func (r *rig) connect(t testing.TB) *client {
	t.Helper()
	return r.connectWith(t, &conn{})
}

func (r *rig) connectWith(t testing.TB, c *conn) *client {
	t.Helper()
	s, err := r.Open(c, &authz.Claims{Organization: organization, Role: authz.RoleAgent})
	if err != nil {
		t.Fatal(err)
	}
	return &client{s, c}
}

// ID returns the id of the connection.
func (c *client) ID() string { return c.Session.ID() }

// invoke makes a call and, in fake time, returns what the connection has received since the previous call.
func (c *client) invoke(t testing.TB, id, target string, arguments ...string) []string {
	t.Helper()
	c.Invoke(t.Context(), invocation(id, target, arguments...))
	synctest.Wait()
	return c.lines()
}

func invocation(id, target string, arguments ...string) *hub.Invocation {
	inv := &hub.Invocation{ID: id, Target: target}
	for _, a := range arguments {
		inv.Arguments = append(inv.Arguments, json.RawMessage(a))
	}
	return inv
}

// active returns the result of ActiveSubscriptions.
func (c *client) active(t testing.TB) []hub.Subscription {
	t.Helper()
	var completion struct{ Result []hub.Subscription }
	lines := c.invoke(t, "active", "ActiveSubscriptions")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &completion); err != nil {
		t.Fatal(err)
	}
	return completion.Result
}

// entity returns a GUID that contains a number.
func entity(n int) events.ID {
	return events.ID{0x01, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}

func topic(n int) events.Topic {
	event, _ := catalog.Lookup("UserStatus")
	return events.Topic{Organization: organization, Entity: entity(n), Type: event}
}

// items returns an argument of Subscribe: UserStatus of the numbered entities.
func items(numbers ...int) string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, fmt.Sprintf(`{"EntityId":"%v","EventName":"UserStatus"}`, entity(n)))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// results is the completion of Subscribe or Unsubscribe for items; messages are the refusals, empty where there is
// none.
func results(id string, numbers []int, messages ...string) string {
	var texts []string
	for i, n := range numbers {
		subscribed, message := true, "null"
		if i < len(messages) && messages[i] != "" {
			subscribed, message = false, `"`+messages[i]+`"`
		}
		texts = append(texts, fmt.Sprintf(`{"subscribed":%v,"message":%s,"entityId":"%v","eventName":"userstatus"}`,
			subscribed, message, entity(n)))
	}
	return fmt.Sprintf(`{"type":3,"invocationId":"%s","result":[%s]}`, id, strings.Join(texts, ","))
}

func (r *rig) publish(n int, data string) {
	r.dispatcher.Dispatch(&events.Event{Topic: topic(n), Data: []byte(data)})
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("lines: -want +got\n%s", diff)
	}
}
