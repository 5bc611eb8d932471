package console_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/console"
)

// TestReadiness_awaitsChecks follows the state of a node whose checks begin to pass at different times.
func TestReadiness_awaitsChecks(t *testing.T) {
	never := time.Hour
	tests := map[string]struct {
		redis, keys time.Duration // until the check passes
		timeout     time.Duration
		ready       time.Duration // 0: never
		left        []console.Problem
	}{
		"all well":                  {0, 0, time.Minute, 0, nil},
		"one comes later":           {0, 10 * time.Second, time.Minute, 10 * time.Second, nil},
		"a useful node waits":       {never, 0, time.Minute, time.Minute, []console.Problem{{"redis", "away"}}},
		"a useless node waits on":   {0, 5 * time.Minute, time.Minute, 5 * time.Minute, []console.Problem{{"keys", "none"}}},
		"without a limit":           {10 * time.Minute, 0, 0, 10 * time.Minute, nil},
		"useless and without redis": {never, never, time.Minute, -1, []console.Problem{{"redis", "away"}, {"keys", "none"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				until := func(after time.Duration, problem string) func() string {
					return func() string {
						if time.Since(began) < after {
							return problem
						}
						return ""
					}
				}
				r := console.NewReadiness(
					console.Check{Name: "redis", Problem: until(tc.redis, "away")},
					console.Check{Name: "keys", Problem: until(tc.keys, "none"), Useless: func() bool { return true }},
				)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
				defer cancel()
				calls := 0
				r.Await(ctx, tc.timeout, func(left []console.Problem) {
					calls++
					if diff := cmp.Diff(tc.left, left); diff != "" {
						t.Errorf("problems left (-want +got):\n%s", diff)
					}
				})
				if calls != 1 {
					t.Errorf("notify was called %d times", calls)
				}
				took, state := time.Since(began).Round(time.Second), r.Report().State
				if tc.ready < 0 {
					if state != console.StateStarting {
						t.Errorf("the node is %s", state)
					}
				} else if took != tc.ready || state == console.StateStarting {
					t.Errorf("%s after %s, want %s", state, took, tc.ready)
				}
			})
		})
	}
}

// TestReadiness_drainsWhileItStarts stops a node before it was ready.
func TestReadiness_drainsWhileItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := console.NewReadiness(console.Check{Name: "redis", Problem: func() string { return "away" }})
		go func() {
			time.Sleep(time.Second)
			r.Draining()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r.Await(ctx, time.Minute, nil)
		if state := r.Report().State; state != console.StateDraining {
			t.Errorf("the node is %s", state)
		}
	})
}
