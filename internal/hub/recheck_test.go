package hub_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// forbidder is the Rechecker that forbids the topics of some entities.
type forbidder struct {
	mu        sync.Mutex // guards the following fields
	forbidden map[events.ID]bool
	checked   int // topics
}

func (j *forbidder) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	allowed := make([]bool, len(topics))
	for i, topic := range topics {
		j.checked++
		allowed[i] = !j.forbidden[topic.Entity]
	}
	return allowed
}

// forbid forbids entities and returns the change.
func (j *forbidder) forbid(numbers ...int) (change authz.Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.forbidden == nil {
		j.forbidden = map[events.ID]bool{}
	}
	for _, n := range numbers {
		j.forbidden[entity(n)] = true
		change.Entities = append(change.Entities, entity(n))
	}
	return change
}

func TestRecheck_endsWhatIsNoLongerAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(j *forbidder) authz.Change
		left    []int
		checked int // of the three topics of one session and the one of the other
	}{
		"OneEntity": {func(j *forbidder) authz.Change { return j.forbid(2) }, []int{1, 3}, 2},
		"Everything": {func(j *forbidder) authz.Change {
			j.forbid(1, 2)
			return authz.Change{All: true}
		}, []int{3}, 4},
		"TheUser": {func(j *forbidder) authz.Change {
			j.forbid(3)
			return authz.Change{Entities: []events.ID{{}}} // the user of the tests
		}, []int{1, 2}, 4},
		"NothingForbidden": {func(*forbidder) authz.Change { return authz.Change{All: true} }, []int{1, 2, 3}, 4},
		"OtherEntity":      {func(j *forbidder) authz.Change { return j.forbid(9) }, []int{1, 2, 3}, 0},
		"MoreThanAreKept":  {func(j *forbidder) authz.Change { return manyChanges(j) }, []int{1, 3}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			j := &forbidder{}
			run(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}}, func(t *testing.T, r *rig) {
				c, other := r.connect(t), r.connect(t)
				c.invoke(t, "1", "Subscribe", items(1, 2, 3))
				other.invoke(t, "1", "Subscribe", items(2))
				r.Recheck(test.change(j))
				synctest.Wait()
				expect(t, c.lines())
				var left []int
				for _, s := range c.active(t) {
					id, _ := events.ParseID(s.EntityID)
					left = append(left, int(id[15]))
				}
				if len(left) != len(test.left) {
					t.Errorf("subscriptions to %v are left, want %v", left, test.left)
				}
				for n := 1; n <= 3; n++ {
					r.publish(n, "x")
				}
				synctest.Wait()
				if got := c.lines(); len(got) != len(test.left) {
					t.Errorf("got %v, want %d events", got, len(test.left))
				}
				if j.checked != test.checked {
					t.Errorf("checked %d topics, want %d", j.checked, test.checked)
				}
			})
		})
	}
}

// manyChanges forbids one entity among more than the hub keeps.
func manyChanges(j *forbidder) authz.Change {
	change := j.forbid(2)
	for n := range 10_001 {
		change.Entities = append(change.Entities, entity(100+n))
	}
	return change
}

// A change that comes between the decision about a Subscribe and its answer ends what was granted.
func TestRecheck_reachesASubscribeUnderWay(t *testing.T) {
	j := &forbidder{}
	granted, changed := make(chan struct{}, 1), make(chan struct{}, 1)
	slow := func(ctx context.Context, claims *authz.Claims, requests []authz.Request) []authz.Decision {
		decisions := allowAll(ctx, claims, requests)
		granted <- struct{}{}
		<-changed
		return decisions
	}
	synctest.Test(t, func(t *testing.T) {
		granted, changed = make(chan struct{}), make(chan struct{})
		r := newRig(t, hub.Options{Authorization: hub.Authorization{Rechecker: j, Authorizer: authorizer(slow)}})
		defer r.start(t)()
		c := r.connect(t)
		go c.Invoke(t.Context(), invocation("1", "Subscribe", items(1, 2)))
		<-granted
		r.Recheck(j.forbid(2))
		synctest.Wait() // the round through the sessions is over
		close(changed)
		synctest.Wait()
		expect(t, c.lines(), results("1", []int{1, 2}))
		if active := c.active(t); len(active) != 1 {
			t.Errorf("%v", active)
		}
		c.Close(hub.CloseGone)
		synctest.Wait()
		r.nothingLeft(t)
	})
}

// slowRechecker is a Rechecker that forbids everything and calls meanwhile first.
type slowRechecker struct{ meanwhile func() }

func (j *slowRechecker) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	j.meanwhile()
	return make([]bool, len(topics))
}

// If a client ends a subscription during the recheck and subscribes again, the new one was decided after the change.
func TestRecheck_keepsASubscriptionMadeMeanwhile(t *testing.T) {
	j := &slowRechecker{}
	run(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1, 2))
		called := false
		j.meanwhile = func() {
			if called {
				return
			}
			called = true
			c.Invoke(t.Context(), invocation("2", "Unsubscribe", items(1)))
			c.Invoke(t.Context(), invocation("3", "Subscribe", items(1)))
		}
		r.Recheck(authz.Change{All: true})
		synctest.Wait()
		c.lines()
		if left := c.active(t); len(left) != 1 || left[0].EntityID != entity(1).String() {
			t.Errorf("left are %+v", left)
		}
	})
}

// Clients subscribe and unsubscribe while rechecks run. Nothing may be released twice.
func TestRecheck_releasesOnce(t *testing.T) {
	j := &forbidder{}
	r := newRig(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}, Logger: zap.NewNop()})
	stop := r.start(t)
	var clients sync.WaitGroup
	for range 4 {
		c := r.connect(t)
		clients.Go(func() {
			for range 200 {
				n := rand.IntN(5)
				r.Recheck(j.forbid(rand.IntN(5)))
				for _, method := range []string{"Subscribe", "Unsubscribe", "UnsubscribeAll"}[:1+rand.IntN(3)] {
					if method == "UnsubscribeAll" {
						c.Invoke(t.Context(), invocation("1", method))
					} else {
						c.Invoke(t.Context(), invocation("1", method, items(n, n+1)))
					}
				}
			}
			c.Close(hub.CloseGone)
		})
	}
	clients.Wait()
	stop()
	r.nothingLeft(t)
}
