package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

func TestClose_releasesEverything(t *testing.T) {
	for reason, label := range map[hub.CloseReason]string{
		hub.CloseGone: "gone", hub.CloseByClient: "client", hub.CloseByPeer: "peer",
		hub.CloseProtocolError: "protocol_error", hub.CloseSlow: "slow", hub.CloseSilent: "silent",
		hub.CloseDrain: "drain", hub.CloseHandshake: "handshake",
		hub.CloseRevoked: "revoked", hub.CloseByOperator: "operator", hub.CloseExpired: "expired",
	} {
		t.Run(label, func(t *testing.T) {
			run(t, hub.Options{}, func(t *testing.T, r *rig) {
				c, other := r.connect(t), r.connect(t)
				c.invoke(t, "1", "Subscribe", items(1, 2))
				other.invoke(t, "1", "Subscribe", items(2, 3))
				c.Close(reason)
				c.Close(hub.CloseProtocolError)
				synctest.Wait()
				expect(t, c.lines(), "close "+label)
				if c.ended != 1 {
					t.Errorf("ended %d times", c.ended)
				}
				if n := r.Sessions().Len(); n != 1 {
					t.Errorf("%d sessions are open", n)
				}
				if n := r.lanes.count(); n != 2 {
					t.Errorf("%d lanes are held", n)
				}
				if n := r.metric(t, "rte_hub_sessions_closed_total", label); n != 1 {
					t.Errorf("counted %v times", n)
				}
				if n := r.metric(t, "rte_hub_subscriptions_active"); n != 2 {
					t.Errorf("%v subscriptions are counted", n)
				}
				expect(t, c.invoke(t, "2", "Subscribe", items(1)))
				r.publish(2, "x")
				synctest.Wait()
				expect(t, c.lines())
				if len(other.lines()) != 1 {
					t.Error("the other session missed an event")
				}
			})
		})
	}
}

// The session is closed at every place where Subscribe waits.
func TestClose_givesUpASubscribe(t *testing.T) {
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for name, test := range map[string]struct {
		authorize authorizer
		acquire   func(context.Context, []events.Topic) []error
	}{
		"InTheDirectory": {
			authorize: func(ctx context.Context, c *authz.Claims, r []authz.Request) []authz.Decision {
				_ = wait(ctx)
				return allowAll(ctx, c, r)
			},
		},
		"InTheLanes": {
			acquire: func(ctx context.Context, topics []events.Topic) []error {
				return []error{wait(ctx), nil, nil} // the others were acquired
			},
		},
		"LanesIgnoreTheContext": {
			acquire: func(context.Context, []events.Topic) []error {
				time.Sleep(5 * time.Second)
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.authorize == nil {
				test.authorize = allowAll
			}
			run(t, hub.Options{Authorization: deciding(nil, test.authorize)}, func(t *testing.T, r *rig) {
				r.lanes.acquire = test.acquire
				c := r.connect(t)
				var calling sync.WaitGroup
				calling.Go(func() { c.Invoke(t.Context(), invocation("1", "Subscribe", items(1, 2, 3))) })
				synctest.Wait()
				c.Close(hub.CloseByPeer)
				calling.Wait()
				synctest.Wait()
				expect(t, c.lines(), "close peer")
				if n := r.metric(t, "rte_hub_invocations_total", "Subscribe", "abandoned"); n != 1 {
					t.Errorf("%v calls are counted as abandoned", n)
				}
				r.nothingLeft(t)
			})
		})
	}
}

// Close races with calls that subscribe and unsubscribe.
func TestClose_atAnyMomentLeavesNothing(t *testing.T) {
	r := newRig(t, hub.Options{})
	stop := r.start(t)
	var all sync.WaitGroup
	for range 300 {
		c := r.connect(t)
		all.Go(func() {
			for range 5 {
				c.Invoke(t.Context(), invocation("1", "Subscribe", items(rand.IntN(5), rand.IntN(5), rand.IntN(5))))
				c.Invoke(t.Context(), invocation("1", "Unsubscribe", items(rand.IntN(5))))
			}
			c.Close(hub.CloseByPeer)
		})
		all.Go(func() {
			for range rand.IntN(1000) {
				runtime.Gosched()
			}
			c.Close(hub.CloseSlow)
		})
	}
	all.Wait()
	stop()
	r.nothingLeft(t)
}

func TestInvoke_endsWithItsContext(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		r.lanes.acquire = func(ctx context.Context, _ []events.Topic) []error {
			<-ctx.Done()
			return []error{ctx.Err()}
		}
		c := r.connect(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		start := time.Now()
		c.Invoke(ctx, invocation("1", "Subscribe", items(1)))
		if waited := time.Since(start); waited != time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	})
}

// A shard ends an outbox by itself, and the session learns of it only later. Subscriptions that it makes in between
// must be released once, or another session's subscription to the same topic would end with them.
func TestSubscribe_onADeadSocketReleasesOnce(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		dead, other := r.connect(t), r.connect(t)
		other.invoke(t, "1", "Subscribe", items(1, 2))
		dead.invoke(t, "1", "Subscribe", items(2))
		dead.mu.Lock()
		dead.broken = errors.New("broken pipe")
		dead.mu.Unlock()
		dead.invoke(t, "2", "Subscribe", items(3)) // the answer finds the socket dead
		dead.invoke(t, "3", "Subscribe", items(1))
		dead.invoke(t, "4", "Unsubscribe", items(2))
		dead.Close(hub.CloseGone)
		synctest.Wait()
		third := r.connect(t)
		third.invoke(t, "1", "Subscribe", items(1, 2))
		third.Close(hub.CloseGone)
		synctest.Wait()
		other.lines()
		r.publish(1, "one")
		r.publish(2, "two")
		synctest.Wait()
		if got := other.lines(); len(got) != 2 {
			t.Errorf("the other session received %v", got)
		}
	})
}

func TestInvoke_timesOutWithoutAPlace(t *testing.T) {
	o := hub.Options{Pool: 1, Authorization: deciding(nil,
		func(ctx context.Context, c *authz.Claims, r []authz.Request) []authz.Decision {
			time.Sleep(time.Minute)
			return allowAll(ctx, c, r)
		})}
	run(t, o, func(t *testing.T, r *rig) {
		busy, c := r.connect(t), r.connect(t)
		var calling sync.WaitGroup
		calling.Go(func() { busy.Invoke(t.Context(), invocation("1", "Subscribe", items(1))) })
		synctest.Wait()
		start := time.Now()
		expect(t, c.invoke(t, "2", "UnsubscribeAll"),
			"2 error An unexpected error occurred invoking 'UnsubscribeAll' on the server.")
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		calling.Wait()
		expect(t, c.invoke(t, "3", "UnsubscribeAll"), `{"type":3,"invocationId":"3","result":true}`)
		if n := r.metric(t, "rte_hub_invocations_total", "UnsubscribeAll", "timeout"); n != 1 {
			t.Errorf("%v calls are counted as timed out", n)
		}
	})
}

func TestInvoke_answersWithAnyInvocationID(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		for id, want := range map[string]string{
			"0": `"0"`, `a"b\`: `"a\"b\\"`, "\x1e\n": `"\u001e\n"`, "ä😀": `"ä😀"`, "\xff": `"\ufffd"`,
		} {
			expect(t, c.invoke(t, id, "UnsubscribeAll"), `{"type":3,"invocationId":`+want+`,"result":true}`)
		}
	})
}

func TestDrain_spreadsTheEndOfSessions(t *testing.T) {
	t.Run("Paced", func(t *testing.T) {
		run(t, hub.Options{}, func(t *testing.T, r *rig) {
			clients := make([]*client, 10)
			for i := range clients {
				clients[i] = r.connect(t)
			}
			clients[0].invoke(t, "1", "Subscribe", items(1))
			clients[0].lines()
			start := time.Now()
			var draining sync.WaitGroup
			draining.Go(func() {
				if err := r.Drain(t.Context(), hub.Pace{Over: 20 * time.Second}); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if n := r.Sessions().Len(); n != 5 {
				t.Errorf("%d sessions are open half way", n)
			}
			if _, err := r.Open(&conn{}, &authz.Claims{}); !errors.Is(err, hub.ErrDraining) {
				t.Errorf("Open: %v", err)
			}
			draining.Wait()
			synctest.Wait()
			if took := time.Since(start); took != 18*time.Second {
				t.Errorf("took %v", took)
			}
			for _, c := range clients {
				expect(t, c.lines(), "close drain")
			}
		})
	})
	t.Run("DoesNotWaitForSessionsThatLeave", func(t *testing.T) {
		run(t, hub.Options{}, func(t *testing.T, r *rig) {
			for range 10 {
				c := r.connect(t)
				time.AfterFunc(time.Second, func() { c.Close(hub.CloseByClient) })
			}
			start := time.Now()
			if err := r.Drain(t.Context(), hub.Pace{Over: time.Minute}); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("DeadlineClosesTheRest", func(t *testing.T) {
		run(t, hub.Options{}, func(t *testing.T, r *rig) {
			for range 10 {
				r.connect(t)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			if err := r.Drain(ctx, hub.Pace{Over: time.Minute}); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if took := time.Since(start); took != 3*time.Second || r.Sessions().Len() != 0 {
				t.Errorf("took %v, %d sessions are open", took, r.Sessions().Len())
			}
		})
	})
	t.Run("AtOnce", func(t *testing.T) {
		run(t, hub.Options{}, func(t *testing.T, r *rig) {
			r.connect(t)
			if err := r.Drain(t.Context(), hub.Pace{}); err != nil || r.Sessions().Len() != 0 {
				t.Errorf("%v, %d sessions are open", err, r.Sessions().Len())
			}
		})
	})
	t.Run("Empty", func(t *testing.T) {
		run(t, hub.Options{}, func(t *testing.T, r *rig) {
			if err := r.Drain(t.Context(), hub.Pace{Over: time.Minute}); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestSessions_iteratesOverOpenSessions(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		a, b := r.connect(t), r.connect(t)
		seen := map[*hub.Session]bool{}
		for s := range r.Sessions().All() {
			seen[s] = true
			s.Close(hub.CloseGone) // the list may change during the iteration
		}
		if len(seen) != 2 || !seen[a.Session] || !seen[b.Session] || r.Sessions().Len() != 0 {
			t.Errorf("seen %v, %d left", seen, r.Sessions().Len())
		}
		if a.ID() != "connection" || a.Claims().Organization != organization {
			t.Errorf("%s of %v", a.ID(), a.Claims())
		}
	})
}

func TestNew_namesTheWrongField(t *testing.T) {
	complete := newRig(t, hub.Options{}).options
	for field, change := range map[string]func(*hub.Options){
		"Options.Catalog is required":                  func(o *hub.Options) { o.Catalog = nil },
		"Options.Dispatcher is required":               func(o *hub.Options) { o.Dispatcher = nil },
		"Options.Lanes is required":                    func(o *hub.Options) { o.Lanes = nil },
		"Options.Authorization.Authorizer is required": func(o *hub.Options) { o.Authorization.Authorizer = nil },
		"Options.Limits.Items must not be negative":    func(o *hub.Options) { o.Limits.Items = -1 },
		"Options.Resync.Rate must not be negative":     func(o *hub.Options) { o.Resync.Rate = -1 },
		"Options.Pool must not be negative":            func(o *hub.Options) { o.Pool = -1 },
	} {
		o := complete
		change(&o)
		if _, err := hub.New(o); err == nil || err.Error() != "hub: "+field {
			t.Errorf("error %v, want %s", err, field)
		}
	}
}

func TestMetrics_areWellNamed(t *testing.T) {
	r := newRig(t, hub.Options{})
	problems, err := testutil.GatherAndLint(r.metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestSend_keepsTheOrder(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connect(t)
		c.Invoke(t.Context(), invocation("1", "UnsubscribeAll"))
		if !c.Send([]byte("pong\n")) {
			t.Error("refused")
		}
		c.Close(hub.CloseByPeer)
		c.Send([]byte("pong\n"))
		synctest.Wait()
		expect(t, c.lines(), `{"type":3,"invocationId":"1","result":true}`, "pong", "close peer")
	})
}

// Calls that change something did not wait: a client that made them faster than its shard takes the answers filled the
// memory with them.
func TestInvoke_changesWaitForTheShard(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		stuck := &conn{onFrame: func(string) { <-release }}
		busy, _, c := r.connectWith(t, stuck), r.connect(t), r.connect(t) // the first and the third have one shard
		go busy.Invoke(t.Context(), invocation("1", "AvailableSubscriptions"))
		synctest.Wait()
		const calls = 200
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range calls {
				c.Invoke(t.Context(), invocation(fmt.Sprint(n), []string{"Subscribe", "Unsubscribe"}[n%2], items(1)))
			}
		}()
		synctest.Wait()
		made := r.metric(t, "rte_hub_invocations_total", "Subscribe") +
			r.metric(t, "rte_hub_invocations_total", "Unsubscribe")
		if made > 70 {
			t.Errorf("%v calls were made", made)
		}
		time.Sleep(10 * time.Millisecond)
		close(release)
		<-done
		synctest.Wait()
		lines := c.lines()
		if len(lines) != calls {
			t.Errorf("%d answers to %d calls", len(lines), calls)
		}
		expect(t, lines[calls-1:], results(fmt.Sprint(calls-1), []int{1}))
	})
}
