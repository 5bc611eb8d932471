package helpers

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// fault is something that goes wrong and is mended.
type fault struct {
	name string
	play func(s *stage, a *application)
}

// faults returns what TestHelper_viewEqualsWhatWasPublished plays.
func faults() []fault {
	return []fault{
		{"the server restarts", func(s *stage, _ *application) {
			s.server.Stop()
			s.server.Start()
		}},
		{"the socket is cut", func(s *stage, _ *application) { s.proxy.Cut() }},
		{"the network takes no bytes", func(s *stage, a *application) {
			a.awaitChange(s.proxy.Hang)
			s.proxy.Cut()
		}},
		{"the server is away", func(s *stage, a *application) {
			attempts := len(a.see().Reasons)
			s.proxy.Refuse(true)
			s.proxy.Cut()
			a.await("several attempts", func(v view) bool { return len(v.Reasons) >= attempts+3 })
			s.proxy.Refuse(false)
		}},
		{"Redis restarts and forgets", func(s *stage, _ *application) {
			s.redis.Kill()
			s.redis.Start()
		}},
		{"the server restarts while Redis is away", func(s *stage, _ *application) {
			s.redis.Kill()
			s.server.Stop()
			s.redis.Start()
			s.server.Start()
		}},
		{"the token expires and is refused once", func(s *stage, a *application) {
			refused := s.signFor(-time.Minute)
			good := s.signFor(time.Hour)
			s.setTokens(func(reason string) string {
				if reason == "connect" {
					return refused(reason)
				}
				return good(reason)
			})
			s.proxy.Cut()
			a.await("a new token", func(v view) bool { return v.Reasons[len(v.Reasons)-1] == "refused" })
			a.awaitState("right")
			s.setTokens(good)
		}},
	}
}

// TestHelper_viewEqualsWhatWasPublished lets things go wrong while events are published. After each fault the client
// must report that it is right, and then its view must equal what was published, without duplicates.
//
// RTE_HELPER_SPAN=1h plays faults in random order for that long.
func TestHelper_viewEqualsWhatWasPublished(t *testing.T) {
	all := helpers()
	all["chromium"] = inBrowser
	for name, start := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, nil)
			a := start(t, s)
			a.subscribe(topics())
			a.do("start", nil, nil)
			a.awaitState("right")
			all := faults()
			if span, err := time.ParseDuration(os.Getenv("RTE_HELPER_SPAN")); err == nil {
				random := rand.New(rand.NewPCG(1, 2)) // the same order each time
				for end := time.Now().Add(span); time.Now().Before(end); {
					play(t, s, a, all[random.IntN(len(all))])
				}
				return
			}
			if name == "chromium" {
				all = all[:2] // the code is the same as in Node
			}
			for _, f := range all {
				play(t, s, a, f)
			}
			if got := len(a.see().Discontinuities); got < len(all)/2 {
				t.Errorf("there were %d discontinuities: the faults reached the client in vain", got)
			}
		})
	}
}

// play plays a fault while events are published, and compares the view afterwards.
func play(t *testing.T, s *stage, a *application, f fault) {
	t.Helper()
	t.Run(f.name, func(t *testing.T) {
		before := s.published()
		stop := s.startPublishing()
		a.await("events", func(v view) bool { return grew(before, v) })
		f.play(s, a)
		middle := s.published()
		a.await("events again", func(v view) bool { return grew(middle, v) })
		stop()
		want := s.published()
		v := a.await("the view to equal what was published", func(v view) bool {
			return v.State == "right" && cmp.Equal(want, callsOf(v, want))
		})
		if len(v.Twice) > 0 {
			t.Errorf("these events were delivered twice: %v", v.Twice)
		}
		if len(v.Errors) > 0 {
			t.Errorf("errors: %v", v.Errors)
		}
	})
}

// grew reports whether each topic of a view has more than before.
func grew(before map[string][]int, v view) bool {
	for _, p := range topics() {
		if v.Last[p.String()] <= len(before[p.String()]) {
			return false
		}
	}
	return true
}

// callsOf returns the view in the form of what was published. Of states only the newest counts.
func callsOf(v view, published map[string][]int) map[string][]int {
	all := maps.Clone(v.Calls)
	for _, p := range topics() {
		if name := p.String(); p.EventName != "UserCallInArrived" && v.Last[name] == len(published[name]) {
			all[name] = published[name]
		}
	}
	return all
}

// TestHelper_snapshotsPrecedeTheReload publishes states while the client is away. When the reload begins, the view has
// them already.
func TestHelper_snapshotsPrecedeTheReload(t *testing.T) {
	withEach(t, testSnapshotsPrecedeTheReload)
}

func testSnapshotsPrecedeTheReload(t *testing.T, start starter) {
	s := newStage(t, nil)
	a := start(t, s)
	a.subscribe(topics())
	a.do("start", nil, nil)
	a.awaitState("right")
	redis := s.redis.Client()
	defer redis.Close()
	for _, p := range topics() {
		s.publish(redis, p)
	}
	a.await("the events", func(v view) bool { return len(v.Last) == len(topics()) })
	began := time.Now()
	s.proxy.Refuse(true)
	s.proxy.Cut()
	a.awaitState("behind")
	for _, p := range topics() {
		s.publish(redis, p)
	}
	s.proxy.Refuse(false)
	v := a.awaitState("right")
	if len(v.Discontinuities) != 1 {
		t.Fatalf("%d discontinuities, want one: %+v", len(v.Discontinuities), v.Discontinuities)
	}
	got := v.Discontinuities[0]
	if got.Reason != "reconnect" || got.From == nil || got.From.After(began) {
		t.Errorf("the discontinuity has the reason %s and begins at %v, which is after %v", got.Reason, got.From, began)
	}
	for _, p := range topics() {
		want := 2
		if p.EventName == "UserCallInArrived" {
			want = 1 // the reload alone delivers it
		}
		if got.Shown[p.String()] != want {
			t.Errorf("at the reload %s had %d, want %d", p, got.Shown[p.String()], want)
		}
	}
}

// TestHelper_leavesANodeThatStopsWithoutAGap stops a node while another one takes its clients, as in an update. A busy
// machine may need longer for the next connection than the node waits, so the client has several attempts. A client
// that does not act on the notice has a gap in each of them.
func TestHelper_leavesANodeThatStopsWithoutAGap(t *testing.T) {
	withEach(t, testLeavesANodeThatStopsWithoutAGap)
}

func testLeavesANodeThatStopsWithoutAGap(t *testing.T, start starter) {
	const attempts = 4
	s := newStage(t, rtetest.Settings{"shutdown.drain": "20s"})
	a := start(t, s)
	a.subscribe(topics())
	a.do("start", nil, nil)
	a.awaitState("right")
	node := s.server
	for range attempts {
		before := a.see()
		another := rtetest.MustStartServer(t, programs.MustBuild(t), s.settings)
		s.setEndpoint(another.HubURL)
		v := s.leave(a, node)
		if len(v.Twice) > 0 || len(v.Errors) > 0 {
			t.Errorf("twice %v, errors %v, %v, %v", v.Twice, v.Errors, v.Reasons, v.States)
		}
		var active int
		if a.do("active", nil, &active); active != len(topics()) {
			t.Errorf("the other node has %d subscriptions, want %d", active, len(topics()))
		}
		if len(v.Discontinuities) == len(before.Discontinuities) && slices.Equal(v.States, before.States) {
			return
		}
		t.Logf("the client came too late: %v", v.States)
		node = another
	}
	t.Errorf("the client had a gap at each of %d nodes that stopped", attempts)
}

// leave stops a node while events are published, and returns the view when it equals what was published.
func (s *stage) leave(a *application, node *rtetest.Server) view {
	s.t.Helper()
	stop := s.startPublishing()
	begin := s.published()
	a.await("events", func(v view) bool { return grew(begin, v) })
	node.Stop()
	middle := s.published()
	a.await("events of the other node", func(v view) bool { return grew(middle, v) })
	stop()
	want := s.published()
	return a.await("the view to equal what was published", func(v view) bool {
		return v.State == "right" && cmp.Equal(want, callsOf(v, want))
	})
}

// TestHelper_renewsTokens lets the server close connections when their tokens expire.
func TestHelper_renewsTokens(t *testing.T) {
	t.Parallel()
	const ttl = 6 * time.Second
	t.Run("without a gap where the server accepts a new token", func(t *testing.T) {
		s := newStage(t, rtetest.Settings{"auth.refresh": "true", "auth.close_at_expiry": "true", "auth.leeway": "0s"})
		s.setTokens(s.signFor(ttl))
		a := inNode(t, s, "index.js")
		a.subscribe(topics())
		a.do("start", nil, nil)
		v := a.await("renewals", func(v view) bool { return count(v.Reasons, "expiring") >= 3 })
		if count(v.Reasons, "connect") != 1 || len(v.Discontinuities) != 0 {
			t.Errorf("the client connected again: %v, %v", v.Reasons, v.States)
		}
	})
	t.Run("by a new connection where it does not", func(t *testing.T) {
		withEach(t, func(t *testing.T, start starter) {
			s := newStage(t, rtetest.Settings{
				"auth.close_at_expiry": "true", "auth.leeway": "0s", "auth.expiry_grace": "0s",
			})
			s.setTokens(s.signFor(ttl))
			a := start(t, s)
			a.subscribe(topics())
			a.do("start", nil, nil)
			a.await("a new connection", func(v view) bool {
				return count(v.Reasons, "connect") >= 2 && len(v.Discontinuities) >= 1 && v.State == "right"
			})
		})
	})
}

func count(all []string, word string) int {
	return len(all) - len(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == word }))
}

// TestHelper_stops covers the ends of a client.
func TestHelper_stops(t *testing.T) { withEach(t, testStops) }

func testStops(t *testing.T, start starter) {
	s := newStage(t, nil)
	t.Run("when the server refuses a new token", func(t *testing.T) {
		a := start(t, s)
		a.subscribe(topics())
		a.do("start", nil, nil)
		a.awaitState("right")
		s.setTokens(s.signFor(-time.Minute))
		s.proxy.Cut()
		v := a.awaitState("gone")
		if diff := cmp.Diff([]string{"connect", "connect", "refused"}, v.Reasons); diff != "" {
			t.Errorf("requests for tokens (-want +got):\n%s", diff)
		}
		for name, state := range v.Subscriptions {
			if state != "ended the server refused a new token: 401" {
				t.Errorf("%s is %q", name, state)
			}
		}
	})
	t.Run("when there is no token", func(t *testing.T) {
		s.setTokens(func(string) string { return "" })
		a := start(t, s)
		a.do("start", nil, nil)
		if v := a.awaitState("gone"); v.Reason != "there is no token" || len(v.Reasons) != 1 {
			t.Errorf("the client is gone because of %q, after %v", v.Reason, v.Reasons)
		}
	})
}

// TestHelper_subscriptions covers states and reasons of subscriptions, and the limits of calls.
func TestHelper_subscriptions(t *testing.T) { withEach(t, testSubscriptions) }

func testSubscriptions(t *testing.T, start starter) {
	// Items beyond a limit would be refused, and a longer message would end the connection.
	s := newStage(t, rtetest.Settings{"limits.items": "2", "limits.message_bytes": "1024"})
	a := start(t, s)
	wrong := []topic{{stranger, "UserStatus"}, {"no GUID", "UserStatus"}, {queue, "NoEvent"}, {queue, "UserStatus"}}
	a.subscribe(append(topics(), wrong...))
	a.do("start", nil, nil)
	v := a.awaitState("right")
	want := map[string]string{
		wrong[0].String(): "refused unauthorized", wrong[1].String(): "refused invalid_entity",
		wrong[2].String(): "refused unknown_event", wrong[3].String(): "refused wrong_kind",
	}
	for _, p := range topics() {
		want[p.String()] = "active"
	}
	if diff := cmp.Diff(want, v.Subscriptions); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
	var active int
	if a.do("active", nil, &active); active != len(topics()) {
		t.Errorf("the server has %d subscriptions, want %d", active, len(topics()))
	}

	redis := s.redis.Client()
	defer redis.Close()
	for _, p := range topics() {
		s.publish(redis, p)
	}
	a.await("events", func(v view) bool { return len(v.Last) == len(topics()) })
	t.Run("a later one gets the last state", func(t *testing.T) {
		var got []int
		if a.do("again", map[string]any{"topics": topics()[:1]}, &got); !slices.Equal(got, []int{1}) {
			t.Errorf("it got %v, want 1", got)
		}
	})
	t.Run("the end of one leaves the others", func(t *testing.T) {
		a.do("unsubscribe", map[string]any{"topics": topics()[1:]}, nil)
		a.await("one subscription at the server", func(view) bool {
			var active int
			a.do("active", nil, &active)
			return active == 1
		})
		for _, p := range topics() {
			s.publish(redis, p)
		}
		v := a.await("the last event", func(v view) bool { return v.Last[topics()[0].String()] == 2 })
		for _, p := range topics()[1:] {
			if v.Last[p.String()] != 1 {
				t.Errorf("%s got an event after its end", p)
			}
		}
	})
}

// TestHelper_cutsBatches subscribes to more than one call takes, in number and in bytes, before and after a cut.
func TestHelper_cutsBatches(t *testing.T) {
	withEach(t, func(t *testing.T, start starter) {
		s := newStage(t, nil)
		a := start(t, s)
		var all []topic
		for n := range crowd {
			all = append(all, topic{agentID(n), "UserStatus"})
		}
		a.subscribe(all)
		a.do("start", nil, nil)
		for range 2 {
			a.awaitState("right")
			var active int
			if a.do("active", nil, &active); active != crowd {
				t.Errorf("the server has %d subscriptions, want %d", active, crowd)
			}
			a.awaitChange(s.proxy.Cut)
		}
		if v := a.awaitState("right"); len(v.Errors) > 0 || len(v.Reasons) != 3 {
			t.Errorf("errors %v, and %d connections, want 3: %v", v.Errors, len(v.Reasons), v.States)
		}
	})
}
