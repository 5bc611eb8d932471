package hub_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// fragile is an Authorizer whose directory can be away, for entities of its choice.
type fragile struct {
	mu    sync.Mutex               // guards the following fields
	away  func(authz.Request) bool // nil: for none
	calls int
}

func (f *fragile) set(away func(authz.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// taken returns and clears the number of calls.
func (f *fragile) taken() (calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls, f.calls = f.calls, 0
	return calls
}

func (f *fragile) Authorize(
	ctx context.Context, claims *authz.Claims, requests []authz.Request,
) []authz.Decision {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	decisions := allowAll(ctx, claims, requests)
	for i, r := range requests {
		if f.away != nil && f.away(r) {
			decisions[i] = authz.Decision{Refusal: authz.RefusedUnavailable}
		}
	}
	return decisions
}

func always(authz.Request) bool { return true }

// whileAway runs a test with a directory that is away.
func whileAway(t *testing.T, resync hub.ResyncOptions, test func(t *testing.T, r *rig, f *fragile)) {
	t.Helper()
	f := &fragile{away: always}
	run(t, hub.Options{Authorization: hub.Authorization{Authorizer: f}, Resync: resync}, func(t *testing.T, r *rig) {
		test(t, r, f)
		if n := r.metric(t, "rte_hub_sessions_undecided"); n != 0 {
			t.Errorf("%v sessions are undecided at the end", n)
		}
	})
}

const away = "Temporarily unavailable"

// A stock client that subscribed while the directory was away got an answer that it does not act upon, and never an
// event.
func TestUndecided_notifiesWhenTheDirectoryAnswers(t *testing.T) {
	whileAway(t, hub.ResyncOptions{CloseWindow: 10 * time.Second}, func(t *testing.T, r *rig, f *fragile) {
		stock, notified, retrying := r.connect(t), r.connectWith(t, withNotices()), r.connect(t)
		unsubscribed, gone, ended := r.connect(t), r.connect(t), r.connect(t)
		began := time.Now()
		for _, c := range []*client{stock, retrying, unsubscribed, gone, ended} {
			expect(t, c.invoke(t, "1", "Subscribe", items(1, 2)), results("1", []int{1, 2}, away, away))
		}
		notified.invoke(t, "1", "Subscribe", items(1, 2))
		if n := r.metric(t, "rte_hub_sessions_undecided"); n != 6 {
			t.Errorf("%v sessions are undecided", n)
		}
		unsubscribed.invoke(t, "2", "Unsubscribe", items(2, 1))
		gone.Close(hub.CloseByClient)
		ended.invoke(t, "2", "UnsubscribeAll")
		gone.lines()
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, stock.lines())
		expect(t, notified.lines())

		f.set(nil)
		retrying.invoke(t, "2", "Subscribe", items(1, 2))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		expect(t, stock.lines(), "close resync")
		notices := resyncs(t, notified.lines())
		if len(notices) != 1 {
			t.Fatalf("%d notices", len(notices))
		}
		if n := notices[0]; n.Reason != "unavailable" || n.OrganizationID != organization.String() || n.Total != 0 ||
			n.Subscriptions == nil || len(n.Subscriptions) != 0 || !n.From.Equal(began) || n.To.Sub(began) < time.Minute {
			t.Errorf("notice is %+v", n)
		}
		for name, c := range map[string]*client{
			"retrying": retrying, "unsubscribed": unsubscribed, "gone": gone, "ended": ended,
		} {
			if lines := c.lines(); lines != nil {
				t.Errorf("%s: %q", name, lines)
			}
		}
		if n := r.lanes.count(); n != 2 {
			t.Errorf("%d lanes are held, want those of the client that tried again", n)
		}
	})
}

func TestUndecided_spreadsTheNotices(t *testing.T) {
	const rate, clients = 10, 300
	whileAway(t, hub.ResyncOptions{CloseWindow: 5 * time.Second, Rate: rate}, func(t *testing.T, r *rig, f *fragile) {
		for range clients {
			r.connect(t).invoke(t, "1", "Subscribe", items(1))
		}
		f.set(nil)
		for second := 0; r.Sessions().Len() > 0; second++ {
			open := r.Sessions().Len()
			time.Sleep(time.Second)
			synctest.Wait()
			if closed := open - r.Sessions().Len(); closed > rate+1 || second > clients/rate+10 {
				t.Fatalf("in second %d, %d connections end", second, closed)
			}
		}
	})
}

// While the directory is away, attempts are few, and no client is asked to come for nothing.
func TestUndecided_backsOff(t *testing.T) {
	whileAway(t, hub.ResyncOptions{CloseWindow: 10 * time.Second}, func(t *testing.T, r *rig, f *fragile) {
		for range 100 {
			r.connect(t).invoke(t, "1", "Subscribe", items(1))
		}
		f.taken()
		time.Sleep(time.Hour)
		synctest.Wait()
		if calls := f.taken(); calls > 3600/5+2 || calls < 3600/7 {
			t.Errorf("%d attempts in an hour", calls)
		}
		if n := r.Sessions().Len(); n != 100 {
			t.Errorf("%d sessions are open", n)
		}
		for s := range r.Sessions().All() {
			s.Close(hub.CloseGone)
		}
	})
}

// A client comes back and finds that the directory cannot decide about one of its entities: it is not closed again and
// again.
func TestUndecided_staysWithWhatCannotBeDecided(t *testing.T) {
	whileAway(t, hub.ResyncOptions{CloseWindow: 10 * time.Second}, func(t *testing.T, r *rig, f *fragile) {
		f.set(func(q authz.Request) bool { return q.EntityID == entity(1).String() })
		c, other := r.connect(t), r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1, 2))
		other.invoke(t, "1", "Subscribe", items(1))
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, c.lines())
		if n := len(c.active(t)); n != 1 {
			t.Errorf("%d subscriptions", n)
		}
		// The node keeps a bounded number of items of one client, and later decides about all of them.
		f.set(always)
		many := slices.Repeat([]int{0}, 100)
		for i := range many {
			many[i] = i
		}
		c.invoke(t, "2", "Subscribe", items(many...))
		f.set(nil)
		c.invoke(t, "3", "Subscribe", items(many...))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		expect(t, c.lines(), "close resync")
		expect(t, other.lines(), "close resync")
	})
}

// A lane that Redis refuses to the node is as unavailable as an entity, and may be permitted later.
func TestUndecided_notifiesWhenTheLaneIsPermitted(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		var permitted atomic.Bool
		r.lanes.acquire = func(_ context.Context, topics []events.Topic) []error {
			if !permitted.Load() {
				return slices.Repeat([]error{errors.New("refused")}, len(topics))
			}
			return nil
		}
		c := r.connect(t)
		expect(t, c.invoke(t, "1", "Subscribe", items(1)), results("1", []int{1}, away))
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, c.lines())
		permitted.Store(true)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		expect(t, c.lines(), "close resync")
	})
}

func TestSessions_withoutSubscriptionsAreCounted(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		count := func(want float64) {
			t.Helper()
			if n := r.metric(t, "rte_hub_sessions_without_subscriptions"); n != want {
				t.Errorf("%v sessions without subscriptions, want %v", n, want)
			}
		}
		time.Sleep(time.Hour)
		idle, left, busy := r.connect(t), r.connect(t), r.connect(t)
		busy.invoke(t, "1", "Subscribe", items(1))
		count(0) // they are new
		time.Sleep(5 * time.Second)
		late := r.connect(t)
		count(2)
		left.Close(hub.CloseByClient)
		count(1)
		busy.invoke(t, "2", "UnsubscribeAll")
		count(2)
		busy.invoke(t, "3", "Subscribe", items(1, 2))
		busy.invoke(t, "4", "Unsubscribe", items(1))
		idle.invoke(t, "1", "Subscribe", items(1))
		count(0)
		time.Sleep(6 * time.Second)
		count(1)
		late.Close(hub.CloseByClient)
		count(0)
		busy.Close(hub.CloseByClient)
		count(0)
	})
}
