package hub_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/hub"
)

// A call that is given up while it waits for the answer of the one before changes nothing.
func TestInvoke_waitsForTheAnswerBefore(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		c := r.connectWith(t, &conn{frozen: true, thaw: make(chan struct{})})
		c.Invoke(t.Context(), invocation("1", "Subscribe", items(1)))
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.Invoke(ctx, invocation("2", "Subscribe", items(2)))
			c.Invoke(t.Context(), invocation("3", "ActiveSubscriptions"))
		}()
		time.Sleep(59 * time.Second) // longer than an invocation may take
		synctest.Wait()
		if n := r.metric(t, "rte_hub_invocations_total"); n != 1 {
			t.Errorf("%v calls have ended", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := r.metric(t, "rte_hub_invocations_total", "Subscribe", "abandoned"); n != 1 {
			t.Errorf("%v calls are counted as abandoned", n)
		}
		close(c.thaw)
		<-done
		synctest.Wait()
		if active := c.active(t); len(active) != 1 {
			t.Errorf("active: %v", active)
		}
	})
}

// Answers that a client does not read are bounded for all its connections together: the calls wait.
func TestInvoke_largeAnswersOfAUserWait(t *testing.T) {
	const subscriptions = 500
	o := hub.Options{Limits: hub.Limits{AnswerBytes: 8 * 420 * subscriptions * 3 / 2}}
	run(t, o, func(t *testing.T, r *rig) {
		var frozen [2]*client
		for n := range frozen {
			frozen[n] = r.connectWith(t, &conn{thaw: make(chan struct{})})
			frozen[n].invoke(t, "1", "Subscribe", items(numbers(subscriptions)...))
		}
		other, err := r.Open(&conn{}, &authz.Claims{User: entity(7), Organization: organization, Role: authz.RoleAgent})
		if err != nil {
			t.Fatal(err)
		}
		var calling sync.WaitGroup
		for _, c := range frozen {
			c.freeze()
			calling.Go(func() { c.Invoke(t.Context(), invocation("2", "ActiveSubscriptions")) })
		}
		synctest.Wait()
		answers := func(outcome string) float64 {
			return r.metric(t, "rte_hub_invocations_total", "ActiveSubscriptions", outcome)
		}
		if n, used := answers("ok"), r.metric(t, "rte_hub_answer_bytes"); n != 1 || used != 420*subscriptions {
			t.Errorf("%v answers of %v bytes are made for clients that do not read", n, used)
		}
		// Other users do not wait, and neither do small calls.
		other.Invoke(t.Context(), invocation("1", "Subscribe", items(numbers(subscriptions)...)))
		other.Invoke(t.Context(), invocation("2", "ActiveSubscriptions"))
		if n := answers("ok"); n != 2 {
			t.Errorf("%v answers were made when another user called", n)
		}
		for _, c := range frozen {
			close(c.thaw)
		}
		calling.Wait()
		synctest.Wait()
		for _, c := range frozen {
			if lines := c.lines(); len(lines) != 1 || !strings.Contains(lines[0], `"invocationId":"2","result":[{`) {
				t.Errorf("received %.100q", lines)
			}
		}
		if used := r.metric(t, "rte_hub_answer_bytes"); used != 0 {
			t.Errorf("%v bytes are left", used)
		}
	})
}

// A call that finds no memory for its answer in time fails, and changes nothing.
func TestInvoke_timesOutWithoutMemory(t *testing.T) {
	const items100 = 100 * 300 // bytes; an answer is larger
	run(t, hub.Options{Limits: hub.Limits{AnswerBytes: 8 * items100}}, func(t *testing.T, r *rig) {
		c, frozen := r.connect(t), r.connectWith(t, &conn{frozen: true, thaw: make(chan struct{})})
		frozen.Invoke(t.Context(), invocation("1", "Subscribe", items(numbers(100)...)))
		start := time.Now()
		expect(t, c.invoke(t, "2", "Subscribe", items(numbers(100)...)),
			"2 error An unexpected error occurred invoking 'Subscribe' on the server.")
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		if n := c.Info().Subscriptions; n != 0 {
			t.Errorf("it has %d subscriptions", n)
		}
		close(frozen.thaw)
		synctest.Wait()
		if n := len(c.invoke(t, "3", "Subscribe", items(numbers(100)...))); n != 1 {
			t.Errorf("%d answers", n)
		}
	})
}
