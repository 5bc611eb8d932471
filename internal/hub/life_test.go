package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

const (
	lifeEntities      = 16
	lifeItems         = 6
	lifeSubscriptions = 8
	lifeOfAgents      = 5
	lifeQuota         = 14
	lifeOrganizations = 2
	refusedLimit      = "Subscription limit reached"
	refusedUnknown    = "Not subscribed"
)

// life is a random life of a hub, with a model of the subscriptions and notices of clients.
type life struct {
	*rig
	t       *testing.T
	random  *rand.Rand
	clients []*lifeClient
	calls   int

	forbidder              // also decides about Subscribe
	away      map[int]bool // entities whose lane cannot be acquired

	denying sync.Mutex // guards denied
	denied  []hub.Denied
	unknown map[int]bool // entities that the directory does not find; guarded by denying
}

// lifeClient is a client of a life, and what the model knows of it.
type lifeClient struct {
	*client
	claims    *authz.Claims
	has       map[int]bool
	ever      map[int]int // subscriptions, also those that have ended
	undecided map[int]bool
	closed    bool
}

func (l *life) authorize(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
	l.denying.Lock()
	defer l.denying.Unlock()
	decisions := allowAll(ctx, claims, requests)
	for i := range decisions {
		n := int(decisions[i].Topic.Entity[15])
		switch {
		case decisions[i].Refusal != "":
		case l.unknown[n]:
			decisions[i] = authz.Decision{Refusal: authz.RefusedUnavailable}
		case !l.Recheck(ctx, claims, []events.Topic{decisions[i].Topic})[0]:
			decisions[i] = authz.Decision{Refusal: authz.RefusedUnauthorized}
		}
	}
	return decisions
}

// Recheck hides that of the hub.
func (l *life) Recheck(ctx context.Context, claims *authz.Claims, topics []events.Topic) []bool {
	return l.forbidder.Recheck(ctx, claims, topics)
}

func (l *life) acquire(_ context.Context, topics []events.Topic) []error {
	var errs []error
	for i, topic := range topics {
		if l.away[int(topic.Entity[15])] {
			if errs == nil {
				errs = make([]error, len(topics))
			}
			errs[i] = errors.New("away")
		}
	}
	return errs
}

func (l *life) open() {
	n := byte(l.random.IntN(lifeOrganizations))
	c := &lifeClient{
		claims: &authz.Claims{Organization: events.ID{1, n}, User: events.ID{2, n}, Role: authz.RoleSupervisor},
		has:    map[int]bool{}, ever: map[int]int{}, undecided: map[int]bool{},
	}
	limit := lifeSubscriptions
	if l.random.IntN(3) == 0 {
		c.claims.Role, limit = authz.RoleAgent, lifeOfAgents
	}
	connection := &conn{features: hub.Features{Notices: l.random.IntN(2) == 0, Limits: l.random.IntN(2) == 0}}
	s, err := l.Open(connection, c.claims)
	if err != nil {
		l.t.Fatal(err)
	}
	c.client = &client{s, connection}
	synctest.Wait()
	var want []string
	if connection.features.Limits {
		want = []string{fmt.Sprintf(`Limits {"items":%d,"subscriptions":%d,"messageBytes":1234,"callsPerSecond":56}`,
			lifeItems, limit)}
	}
	expect(l.t, c.lines(), want...)
	l.clients = append(l.clients, c)
}

func (c *lifeClient) limit() int {
	if c.claims.Role == authz.RoleAgent {
		return lifeOfAgents
	}
	return lifeSubscriptions
}

// used returns the number of subscriptions of an organization.
func (l *life) used(organization events.ID) (n int) {
	for _, c := range l.clients {
		if c.claims.Organization == organization {
			n += len(c.has)
		}
	}
	return n
}

// call makes a call with items, some of them twice, and returns the messages of the results; empty: subscribed.
func (l *life) call(c *lifeClient, target string, numbers []int) (messages []string) {
	l.calls++
	var completion struct{ Result []hub.SubscriptionResult }
	lines := c.invoke(l.t, "7", target, items(numbers...))
	if len(lines) != 1 {
		l.t.Fatalf("%s: %q", target, lines)
	}
	if err := json.Unmarshal([]byte(lines[0]), &completion); err != nil {
		l.t.Fatal(err)
	}
	for i, r := range completion.Result {
		message := ""
		if r.Message != nil {
			message = *r.Message
		}
		if r.Subscribed != (message == "") || r.EntityID != entity(numbers[i]).String() || r.EventName != "userstatus" ||
			(r.Code != "") != c.features.Notices {
			l.t.Fatalf("%s: item %d of %v: %+v", target, i, numbers, r)
		}
		messages = append(messages, message)
	}
	return messages
}

func (l *life) numbers() []int {
	numbers := make([]int, 1+l.random.IntN(lifeItems+2))
	for i := range numbers {
		numbers[i] = l.random.IntN(lifeEntities)
	}
	return numbers
}

func (l *life) subscribe(c *lifeClient) {
	numbers := l.numbers()
	used, added := l.used(c.claims.Organization), map[int]bool{}
	var want []string
	var denied []hub.Denied
	for i, n := range numbers {
		message := ""
		switch {
		case i >= lifeItems:
			message = refusedLimit
		case l.unknown[n]:
			message = authz.RefusedUnavailable
		case l.forbidden[entity(n)]:
			message = authz.RefusedUnauthorized
		case c.has[n] || added[n] && !l.away[n]:
		case added[n]:
			message = authz.RefusedUnavailable
		case len(c.has)+len(added) >= c.limit() || used+len(added) >= lifeQuota:
			message = refusedLimit
		default:
			if added[n] = true; l.away[n] {
				message = authz.RefusedUnavailable
			}
		}
		want = append(want, message)
		if message != "" {
			code := (&authz.Decision{Refusal: message}).Code()
			if message == refusedLimit {
				code = "limit"
			}
			denied = append(denied, hub.Denied{Entity: entity(n), Event: "UserStatus", Code: code})
		}
	}
	l.denied = nil
	got := l.call(c, "Subscribe", numbers)
	expect(l.t, got, want...)
	if diff := cmp.Diff(denied, l.denied, cmpopts.IgnoreFields(hub.Denied{}, "Trace")); diff != "" {
		l.t.Errorf("denied: -want +got\n%s", diff)
	}
	for n := range added {
		if !l.away[n] {
			c.has[n] = true
			c.ever[n]++
		}
	}
	for i, n := range numbers { // the last answer about an item counts, but a refusal for lack of a lane goes first
		if want[i] == authz.RefusedUnavailable {
			c.undecided[n] = true
		}
	}
	for i, n := range numbers {
		if want[i] != authz.RefusedUnavailable {
			delete(c.undecided, n)
		}
	}
}

func (l *life) unsubscribe(c *lifeClient) {
	numbers := l.numbers()
	var want []string
	for _, n := range numbers {
		message := ""
		if !c.has[n] {
			message = refusedUnknown
		}
		want = append(want, message)
	}
	first := map[int]bool{}
	got := l.call(c, "Unsubscribe", numbers)
	for i, n := range numbers { // of an item that comes twice, the first one ends the subscription
		if first[n] && c.has[n] {
			want[i] = refusedUnknown
		}
		first[n] = true
	}
	expect(l.t, got, want...)
	for n := range first {
		delete(c.has, n)
		delete(c.undecided, n)
	}
}

// act lets one client, or the world, do something.
func (l *life) act(c *lifeClient) {
	time.Sleep(time.Millisecond) // the spans of subscriptions differ
	switch action := l.random.IntN(22); {
	case action < 9:
		l.subscribe(c)
	case action < 14:
		l.unsubscribe(c)
	case action == 14:
		l.calls++
		expect(l.t, c.invoke(l.t, "7", "UnsubscribeAll"), `{"type":3,"invocationId":"7","result":true}`)
		clear(c.has)
		clear(c.undecided)
	case action < 17:
		l.close(c, hub.CloseByClient)
	case action == 17:
		n := l.random.IntN(lifeEntities)
		l.Hub.Recheck(l.forbid(n))
		synctest.Wait()
		for _, c := range l.clients {
			var want []string
			if c.has[n] && c.features.Notices {
				want = []string{"SubscriptionsEnded"}
			}
			l.expectTargets(c, want...)
			delete(c.has, n)
		}
	case action == 18:
		l.mu.Lock()
		clear(l.forbidden)
		l.mu.Unlock()
	case action == 19:
		l.away[l.random.IntN(lifeEntities)] = true
	case action == 20:
		l.unknown[l.random.IntN(lifeEntities)] = true
	case action == 21:
		l.heal()
	}
}

// heal makes everything available, and expects that the clients that wait for it are notified.
func (l *life) heal() {
	clear(l.away)
	l.denying.Lock()
	clear(l.unknown)
	l.denying.Unlock()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	idle := 0
	for _, c := range slices.Clone(l.clients) {
		switch {
		case len(c.undecided) == 0:
			l.expectTargets(c)
		case c.features.Notices:
			l.expectTargets(c, "Resync")
		default:
			l.expectTargets(c, "close")
			l.forget(c)
			continue
		}
		clear(c.undecided)
		if len(c.has) == 0 {
			idle++
		}
	}
	l.expectMetric("rte_hub_sessions_without_subscriptions", idle)
}

// expectTargets compares the targets of the messages that a client has received.
func (l *life) expectTargets(c *lifeClient, want ...string) {
	l.t.Helper()
	var got []string
	for _, line := range c.lines() {
		target, _, _ := strings.Cut(line, " ")
		got = append(got, target)
	}
	expect(l.t, got, want...)
}

func (l *life) close(c *lifeClient, reason hub.CloseReason) {
	if !c.Close(reason) || c.Close(reason) {
		l.t.Error("Close does not report the first reason")
	}
	synctest.Wait()
	expect(l.t, c.lines(), "close "+reason.String())
	l.forget(c)
}

func (l *life) forget(c *lifeClient) {
	c.closed = true
	clear(c.has)
	l.clients = slices.DeleteFunc(l.clients, func(other *lifeClient) bool { return other == c })
}

func (l *life) expectMetric(name string, want int) {
	l.t.Helper()
	if n := l.metric(l.t, name); n != float64(want) {
		l.t.Errorf("%s is %v, want %d", name, n, want)
	}
}

// check compares the hub, its lanes and its dispatcher with the model.
func (l *life) check() {
	held, undecided := map[events.Topic]int{}, 0
	for _, c := range l.clients {
		for n := range c.has {
			held[events.Topic{Organization: c.claims.Organization, Entity: entity(n), Type: topic(0).Type}]++
		}
		if len(c.undecided) > 0 {
			undecided++
		}
		if got := c.Info().Subscriptions; got != len(c.has) {
			l.t.Errorf("a session has %d subscriptions, want %d", got, len(c.has))
		}
		var ids []string
		for _, s := range c.Subscriptions() {
			ids = append(ids, s.EntityID)
		}
		var want []string
		for _, n := range slices.Sorted(maps.Keys(c.has)) {
			want = append(want, entity(n).String())
		}
		expect(l.t, ids, want...)
	}
	total := 0
	for n := range byte(lifeOrganizations) {
		organization := events.ID{1, n}
		total += l.used(organization)
		if got := l.QuotaOf(organization); got != l.used(organization) {
			l.t.Errorf("%d subscriptions are counted for the quota, want %d", got, l.used(organization))
		}
	}
	if diff := cmp.Diff(held, l.lanes.held); diff != "" {
		l.t.Errorf("lanes: -want +got\n%s", diff)
	}
	subscribers := map[events.Topic]int{}
	l.dispatcher.EachTopic(func(topic events.Topic, n int) bool { subscribers[topic] = n; return true })
	if diff := cmp.Diff(held, subscribers); diff != "" {
		l.t.Errorf("subscribers: -want +got\n%s", diff)
	}
	l.expectMetric("rte_hub_subscriptions_active", total)
	l.expectMetric("rte_hub_sessions_open", len(l.clients))
	l.expectMetric("rte_hub_sessions_undecided", undecided)
	l.expectMetric("rte_hub_invocations_total", l.calls)
	l.checkTopic()
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// checkTopic publishes an event and compares its receivers and the list of subscribers with the model.
func (l *life) checkTopic() {
	n, organization := l.random.IntN(lifeEntities), events.ID{1, byte(l.random.IntN(lifeOrganizations))}
	topic := events.Topic{Organization: organization, Entity: entity(n), Type: topic(0).Type}
	l.dispatcher.Dispatch(&events.Event{Topic: topic, Data: []byte("x")})
	synctest.Wait()
	found, more := l.Subscribers(topic, func(c *authz.Claims) bool { return c.Organization == organization }, 1000)
	if more {
		l.t.Error("there are more sessions than the hub remembers")
	}
	byOutbox := map[uint32]hub.Subscriber{}
	for _, s := range found {
		byOutbox[s.Outbox] = s
	}
	for _, c := range l.clients {
		has := c.claims.Organization == organization && c.has[n]
		var want []string
		if has {
			want = []string{"event"}
		}
		l.expectTargets(c, want...)
		if c.MaySubscribe(topic) != has {
			l.t.Errorf("MaySubscribe is %v, want %v", !has, has)
		}
		spans := byOutbox[c.Outbox().Number()].Spans
		switch {
		case c.claims.Organization != organization:
		case len(spans) != c.ever[n]:
			l.t.Errorf("a session has had %d subscriptions to the topic, want %d", len(spans), c.ever[n])
		case len(spans) > 0 && spans[len(spans)-1].Ended.IsZero() != has:
			l.t.Errorf("the last subscription ended %v, want that it goes on: %v", spans[len(spans)-1].Ended, has)
		}
	}
}

// TestHub_life leads a hub through a random life: calls, changes of what is allowed, failures of the directory and of
// lanes, and the ends of sessions. After each step it compares everything that the hub counts with a model.
func TestHub_life(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := &life{
				random: rand.New(rand.NewPCG(seed, 0)), away: map[int]bool{}, unknown: map[int]bool{},
			}
			run(t, hub.Options{
				Limits: hub.Limits{
					Subscriptions: lifeSubscriptions, AgentSubscriptions: lifeOfAgents, Items: lifeItems, Quota: lifeQuota,
					MessageBytes: 1234, CallRate: 56,
				},
				Authorization: hub.Authorization{
					Authorizer: authorizer(l.authorize), Rechecker: &l.forbidder,
					Denied: func(_ *hub.Session, d hub.Denied) { l.denied = append(l.denied, d) },
				},
				HistoryBytes: 1 << 24,
			}, func(t *testing.T, r *rig) {
				l.t, l.rig, r.lanes.acquire = t, r, l.acquire
				for range 150 {
					for len(l.clients) < 5 {
						l.open()
					}
					l.act(l.clients[l.random.IntN(len(l.clients))])
					l.check()
				}
			})
		})
	}
}
