package hub_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// laneOf spreads entities over two lanes.
func laneOf(topic events.Topic) string {
	return []string{"even", "odd"}[topic.Entity[15]%2]
}

func lostOdd(from, to time.Time) hub.Loss {
	return hub.Loss{Organization: organization, Lane: "odd", From: from, To: to, Reason: "outage"}
}

func withNotices() *conn { return &conn{features: hub.Features{Notices: true}} }

// resyncs returns the notices in lines.
func resyncs(t *testing.T, lines []string) (notices []hub.Resync) {
	t.Helper()
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "Resync ")
		if !ok {
			t.Fatalf("received %s", line)
		}
		var notice hub.Resync
		if err := json.Unmarshal([]byte(text), &notice); err != nil {
			t.Fatal(err)
		}
		notices = append(notices, notice)
	}
	return notices
}

func TestLost_notifiesSubscribersOfTheLane(t *testing.T) {
	o := hub.Options{Resync: hub.ResyncOptions{Lane: laneOf}, HistoryBytes: 1 << 20}
	run(t, o, func(t *testing.T, r *rig) {
		user := events.ID{3}
		connection := withNotices()
		session, err := r.Open(connection, &authz.Claims{Organization: organization, User: user, Role: authz.RoleAgent})
		if err != nil {
			t.Fatal(err)
		}
		stock, notified := r.connect(t), &client{session, connection}
		elsewhere, idle := r.connect(t), r.connect(t)
		stock.invoke(t, "1", "Subscribe", items(1, 2))
		notified.invoke(t, "1", "Subscribe", items(1, 2, 3))
		elsewhere.invoke(t, "1", "Subscribe", items(2, 4))
		active := notified.active(t)
		to := time.Now()
		from := to.Add(-3 * time.Second)

		r.Lost(lostOdd(from, to))
		r.Lost(hub.Loss{Organization: events.ID{9}, Lane: "another", Reason: "outage"})
		time.Sleep(10*time.Second + 200*time.Millisecond)
		synctest.Wait()
		got := notified.lines()
		time.Sleep(50 * time.Second)
		synctest.Wait()

		expect(t, stock.lines(), "close resync")
		notices := resyncs(t, got)
		if len(notices) != 1 {
			t.Fatalf("%d notices", len(notices))
		}
		n := notices[0]
		if n.OrganizationID != organization.String() || n.Reason != "outage" || !n.From.Equal(from) || !n.To.Equal(to) ||
			n.Total != 2 || len(n.Subscriptions) != 2 || n.Subscriptions[0] != active[0] || n.Subscriptions[1] != active[2] {
			t.Errorf("notice is %+v", n)
		}
		expect(t, elsewhere.lines())
		expect(t, idle.lines())
		for _, how := range []string{"close", "notice"} {
			if n := r.metric(t, "rte_hub_resync_clients_total", how); n != 1 {
				t.Errorf("%v clients are counted as notified by %s", n, how)
			}
		}
		if n := r.metric(t, "rte_hub_losses_by_organization_total", organization.String()); n != 1 {
			t.Errorf("%v losses of the organization are counted", n)
		}

		// Operators can look up who was notified.
		from, to = from.UTC().Truncate(time.Millisecond), to.UTC().Truncate(time.Millisecond)
		remembered := hub.Notified{
			Connection: "connection", User: user.String(), Organization: organization.String(),
			From: &from, To: &to, Reason: "outage", How: "notice",
		}
		byClose := remembered
		byClose.User, byClose.How = events.ID{}.String(), "close"
		found := r.Notifications(events.ID{})
		ignored := cmp.Options{
			cmpopts.IgnoreFields(hub.Notified{}, "At"), cmpopts.IgnoreUnexported(hub.Notified{}),
			cmpopts.SortSlices(func(a, b hub.Notified) bool { return a.How > b.How }),
		}
		if diff := cmp.Diff([]hub.Notified{remembered, byClose}, found, ignored); diff != "" {
			t.Errorf("notifications: -want +got\n%s", diff)
		}
		for _, n := range found {
			if at := n.At.Sub(to); at < 0 || at > time.Minute {
				t.Errorf("a client was notified %s after the loss", at)
			}
		}
		if diff := cmp.Diff([]hub.Notified{remembered}, r.Notifications(user), ignored); diff != "" {
			t.Errorf("notifications of a user: -want +got\n%s", diff)
		}
		if others := r.Notifications(events.ID{5}); len(others) != 0 {
			t.Errorf("notifications of another user: %v", others)
		}
	})
}

// Two losses of a lane are one notice, whose interval has both, or is not known where one of them is not.
func TestLost_joinsTheLossesOfALane(t *testing.T) {
	type interval [2]time.Duration // from, to, after the start; zero: not known
	const early, middle, late = 2 * time.Second, 5 * time.Second, 10 * time.Second
	for name, test := range map[string]struct {
		first, second, want interval
	}{
		"the first one is earlier":           {interval{early, middle}, interval{middle, late}, interval{early, late}},
		"the second one is earlier":          {interval{middle, late}, interval{early, middle}, interval{early, late}},
		"the end of the second is unknown":   {interval{early, late}, interval{early, 0}, interval{early, 0}},
		"the end of the first is unknown":    {interval{early, 0}, interval{early, late}, interval{early, 0}},
		"the begin of the second is unknown": {interval{early, late}, interval{0, late}, interval{0, late}},
		"the begin of the first is unknown":  {interval{0, late}, interval{early, late}, interval{0, late}},
	} {
		for _, apart := range []time.Duration{0, time.Second} { // before and after the plan for the first one
			t.Run(fmt.Sprint(name, " ", apart), func(t *testing.T) {
				o := hub.Options{Resync: hub.ResyncOptions{Lane: laneOf}, Jitter: func(d time.Duration) time.Duration { return d }}
				run(t, o, func(t *testing.T, r *rig) {
					c := r.connectWith(t, withNotices())
					c.invoke(t, "1", "Subscribe", items(1))
					start := time.Now()
					at := func(d time.Duration) time.Time {
						if d == 0 {
							return time.Time{}
						}
						return start.Add(d)
					}
					time.Sleep(20 * time.Second)
					r.Lost(lostOdd(at(test.first[0]), at(test.first[1])))
					time.Sleep(apart)
					r.Lost(lostOdd(at(test.second[0]), at(test.second[1])))
					time.Sleep(time.Minute)
					synctest.Wait()
					var got interval
					notices := resyncs(t, c.lines())
					if len(notices) != 1 {
						t.Fatalf("%d notices", len(notices))
					}
					if from := notices[0].From; from != nil {
						got[0] = from.Sub(start)
					}
					if to := notices[0].To; to != nil {
						got[1] = to.Sub(start)
					}
					if got != test.want {
						t.Errorf("from %s to %s, want from %s to %s", got[0], got[1], test.want[0], test.want[1])
					}
				})
			})
		}
	}
}

// The connections of stock clients end spread over the window, or over more time if the rate requires it.
func TestLost_spreadsTheEndOfConnections(t *testing.T) {
	for name, test := range map[string]struct {
		options hub.ResyncOptions
		over    time.Duration
		most    int // in a second
	}{
		"TheWindow": {hub.ResyncOptions{Lane: laneOf, CloseWindow: 20 * time.Second}, 20 * time.Second, 11},
		"TheRate":   {hub.ResyncOptions{Lane: laneOf, CloseWindow: time.Second, Rate: 5}, 40 * time.Second, 6},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, hub.Options{Resync: test.options}, func(t *testing.T, r *rig) {
				for range 200 {
					r.connect(t).invoke(t, "1", "Subscribe", items(1))
				}
				r.Lost(lostOdd(time.Time{}, time.Time{}))
				time.Sleep(debounce)
				synctest.Wait()
				open := 200
				for range test.over / time.Second {
					time.Sleep(time.Second)
					synctest.Wait()
					closed := open - r.Sessions().Len()
					if closed > test.most || closed < test.most-2 {
						t.Errorf("%d connections end in a second, want about %d", closed, test.most-1)
					}
					open -= closed
				}
				if waiting := r.metric(t, "rte_hub_resync_waiting"); open != 0 || waiting != 0 {
					t.Errorf("%d connections are left, %v wait", open, waiting)
				}
			})
		})
	}
}

// The rate bounds all losses together, also those that follow each other.
func TestLost_keepsTheRateAcrossLosses(t *testing.T) {
	const rate = 5
	o := hub.Options{Resync: hub.ResyncOptions{Lane: laneOf, CloseWindow: time.Second, Rate: rate}}
	run(t, o, func(t *testing.T, r *rig) {
		for i := range 100 {
			r.connect(t).invoke(t, "1", "Subscribe", items(1+i%2))
		}
		r.Lost(lostOdd(time.Time{}, time.Time{}))
		for second := 0; r.Sessions().Len() > 0; second++ {
			open := r.Sessions().Len()
			if second == 2 {
				r.Lost(hub.Loss{Organization: organization, Lane: "even", Reason: "fork"})
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if closed := open - r.Sessions().Len(); closed > rate || second > 21 {
				t.Fatalf("in second %d, %d connections end", second, closed)
			}
		}
	})
}

// A loss during a shed closed connections at its own rate, and the shed closed further ones.
func TestLost_sharesItsRateWithSheds(t *testing.T) {
	const rate, clients = 10, 300
	o := hub.Options{Resync: hub.ResyncOptions{Lane: laneOf, CloseWindow: time.Second, Rate: 500, CloseRate: rate}}
	run(t, o, func(t *testing.T, r *rig) {
		for range clients {
			r.connect(t).invoke(t, "1", "Subscribe", items(1))
		}
		var shedding sync.WaitGroup
		shedding.Go(func() {
			if n := r.Shed(t.Context(), 120, hub.CloseShed, hub.Pace{Over: 15 * time.Second}); n == 0 {
				t.Error("the shed closed none")
			}
		})
		r.Lost(lostOdd(time.Time{}, time.Time{}))
		for second := 0; r.Sessions().Len() > 0; second++ {
			open := r.Sessions().Len()
			time.Sleep(time.Second)
			synctest.Wait()
			if closed := open - r.Sessions().Len(); closed > rate+2 || second > clients/rate+5 {
				t.Fatalf("in second %d, %d connections end", second, closed)
			}
		}
		shedding.Wait()
	})
}

// While clients wait to come in, here or at another node, a loss closes no connections, for a bounded time. Clients
// with notices get their notices.
func TestLost_waitsWhileClientsCannotComeBack(t *testing.T) {
	var waits atomic.Bool
	o := hub.Options{Resync: hub.ResyncOptions{
		Lane: laneOf, Window: time.Second, CloseWindow: 20 * time.Second, Hold: waits.Load,
	}}
	run(t, o, func(t *testing.T, r *rig) {
		connect := func() *client {
			for range 20 {
				r.connect(t).invoke(t, "1", "Subscribe", items(1))
			}
			notified := r.connectWith(t, withNotices())
			notified.invoke(t, "1", "Subscribe", items(1))
			return notified
		}
		open := func(after time.Duration) int {
			time.Sleep(after)
			synctest.Wait()
			return r.Sessions().Len()
		}
		for name, test := range map[string]struct{ hold, until time.Duration }{
			"short": {hold: 10 * time.Second, until: 10 * time.Second},
			"long":  {hold: time.Hour, until: 20 * time.Second},
		} {
			notified := connect()
			waits.Store(true)
			time.AfterFunc(test.hold, func() { waits.Store(false) })
			r.Lost(lostOdd(time.Time{}, time.Time{}))
			if n, held := open(test.until), r.metric(t, "rte_hub_resync_held"); n != 21 || held != 1 {
				t.Errorf("%s: %d of 21 sessions are open during the wait, held %v", name, n, held)
			}
			if n := len(resyncs(t, notified.lines())); n != 1 {
				t.Errorf("%s: %d notices", name, n)
			}
			if n := open(10 * time.Second); n < 8 || n > 14 {
				t.Errorf("%s: %d of 21 sessions are open in the middle of the window", name, n)
			}
			if n, held := open(12*time.Second), r.metric(t, "rte_hub_resync_held"); n != 1 || held != 0 {
				t.Errorf("%s: %d sessions are open at the end, held %v", name, n, held)
			}
			notified.Close(hub.CloseByClient)
			waits.Store(false)
		}
		time.Sleep(time.Hour)
	})
}

// debounce is the time until Run plans the notices of a loss.
const debounce = 100 * time.Millisecond

// Losses that come before a client is notified are one notice for it; a later loss is another.
func TestLost_mergesLossesUntilTheNotice(t *testing.T) {
	run(t, hub.Options{Resync: hub.ResyncOptions{Lane: laneOf, Window: time.Minute}}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, withNotices())
		c.invoke(t, "1", "Subscribe", items(1, 2))
		start := time.Now()
		r.Lost(lostOdd(start, start.Add(time.Second)))
		r.Lost(lostOdd(start.Add(-time.Second), start))
		time.Sleep(debounce)
		synctest.Wait()
		var got []string
		for range 3 {
			r.Lost(lostOdd(start, start.Add(2*time.Second)))
			r.Lost(hub.Loss{Organization: organization, Lane: "even", From: start, To: start, Reason: "fork"})
			synctest.Wait()
			if got = c.lines(); got != nil {
				t.Fatalf("notified at once: %q", got)
			}
		}
		time.Sleep(time.Minute + debounce)
		synctest.Wait()
		notices := resyncs(t, c.lines())
		if len(notices) != 1 || !notices[0].From.Equal(start.Add(-time.Second)) ||
			!notices[0].To.Equal(start.Add(2*time.Second)) || notices[0].Total != 2 {
			t.Errorf("notices are %+v", notices)
		}
		r.Lost(lostOdd(time.Time{}, start))
		time.Sleep(time.Minute + debounce)
		synctest.Wait()
		notices = resyncs(t, c.lines())
		if len(notices) != 1 || notices[0].From != nil || notices[0].Total != 1 {
			t.Errorf("notices of the next loss are %+v", notices)
		}
	})
}

func TestLost_leavesOutSessionsThatAreGone(t *testing.T) {
	run(t, hub.Options{Resync: hub.ResyncOptions{Lane: laneOf}}, func(t *testing.T, r *rig) {
		left, unsubscribed, notified := r.connect(t), r.connect(t), r.connectWith(t, withNotices())
		for _, c := range []*client{left, unsubscribed, notified} {
			c.invoke(t, "1", "Subscribe", items(1, 2))
		}
		r.Lost(lostOdd(time.Time{}, time.Time{}))
		time.Sleep(debounce)
		synctest.Wait()
		left.Close(hub.CloseByClient)
		unsubscribed.invoke(t, "2", "Unsubscribe", items(1))
		notified.invoke(t, "2", "UnsubscribeAll")
		late := r.connect(t)
		late.invoke(t, "1", "Subscribe", items(1))
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, unsubscribed.lines())
		expect(t, notified.lines())
		expect(t, late.lines())
		gone, all := r.metric(t, "rte_hub_resync_clients_total", "gone"), r.metric(t, "rte_hub_resync_clients_total")
		if gone != 3 || all != gone {
			t.Errorf("%v clients of %v are counted as gone", gone, all)
		}
	})
}

func TestLost_doesNothingWithoutLanes(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1))
		r.Lost(lostOdd(time.Time{}, time.Time{}))
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, c.lines())
	})
}
