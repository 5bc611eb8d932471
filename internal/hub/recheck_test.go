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

// judge takes back the topics of entities.
type judge struct {
	mu   sync.Mutex
	gone map[events.ID]bool // guarded by mu
	asks int                // guarded by mu: topics that were asked about
}

func (j *judge) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	allowed := make([]bool, len(topics))
	for i, topic := range topics {
		j.asks++
		allowed[i] = !j.gone[topic.Entity]
	}
	return allowed
}

// takeBack takes back entities, and answers the change that says so.
func (j *judge) takeBack(numbers ...int) (change authz.Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gone == nil {
		j.gone = map[events.ID]bool{}
	}
	for _, n := range numbers {
		j.gone[entity(n)] = true
		change.Entities = append(change.Entities, entity(n))
	}
	return change
}

func TestRecheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(j *judge) authz.Change
		left   []int
		asks   int // about the three subscriptions of one session and the one of the other
	}{
		"OneEntity": {func(j *judge) authz.Change { return j.takeBack(2) }, []int{1, 3}, 2},
		"Everything": {func(j *judge) authz.Change {
			j.takeBack(1, 2)
			return authz.Change{All: true}
		}, []int{3}, 4},
		"TheUser": {func(j *judge) authz.Change {
			j.takeBack(3)
			return authz.Change{Entities: []events.ID{{}}} // the user of the tests
		}, []int{1, 2}, 4},
		"NothingLost":      {func(*judge) authz.Change { return authz.Change{All: true} }, []int{1, 2, 3}, 4},
		"NobodyConcerned":  {func(j *judge) authz.Change { return j.takeBack(9) }, []int{1, 2, 3}, 0},
		"MoreThanIsListed": {func(j *judge) authz.Change { return manyChanges(j) }, []int{1, 3}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{}
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
				if j.asks != test.asks {
					t.Errorf("asked about %d topics, want %d", j.asks, test.asks)
				}
			})
		})
	}
}

// manyChanges takes back one entity among more than the hub remembers.
func manyChanges(j *judge) authz.Change {
	change := j.takeBack(2)
	for n := range 10_001 {
		change.Entities = append(change.Entities, entity(100+n))
	}
	return change
}

// TestRecheck_SubscribeUnderWay takes back what a Subscribe has been granted and not yet got: it must not keep it.
func TestRecheck_SubscribeUnderWay(t *testing.T) {
	j := &judge{}
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
		r.Recheck(j.takeBack(2))
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

// slowRechecker is a Rechecker that lets something happen before it answers what it knew before: no.
type slowRechecker struct{ meanwhile func() }

func (j *slowRechecker) Recheck(_ context.Context, _ *authz.Claims, topics []events.Topic) []bool {
	j.meanwhile()
	return make([]bool, len(topics))
}

// A subscription that was made after the change, in place of one that is looked at, was decided later than that.
func TestRecheck_SubscribedAgainMeanwhile(t *testing.T) {
	j := &slowRechecker{}
	run(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1, 2))
		asked := false
		j.meanwhile = func() {
			if asked {
				return
			}
			asked = true
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

// TestRecheck_Concurrently subscribes and unsubscribes while rights come and go. Nothing may be given back twice.
func TestRecheck_Concurrently(t *testing.T) {
	j := &judge{}
	r := newRig(t, hub.Options{Authorization: hub.Authorization{Rechecker: j}, Logger: zap.NewNop()})
	stop := r.start(t)
	var clients sync.WaitGroup
	for range 4 {
		c := r.connect(t)
		clients.Go(func() {
			for range 200 {
				n := rand.IntN(5)
				r.Recheck(j.takeBack(rand.IntN(5)))
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
