package demo_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/simulator"
)

// publisher makes a demo.Publisher from a function.
type publisher func(data []byte) error

func (p publisher) Publish(_ context.Context, data []byte) error { return p(data) }

// mustPlayer returns a player of the default scenario.
func mustPlayer(t *testing.T, o demo.PlayerOptions) *demo.Player {
	t.Helper()
	o.Organization = simulator.NewOrganization()
	scenario, err := simulator.LoadScenario(simulator.DefaultScenario, o.Organization)
	if err != nil {
		t.Fatal(err)
	}
	o.Scenario = scenario
	p, err := demo.NewPlayer(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// play plays for a time of the given length in fake time and returns the published events.
func play(t *testing.T, o demo.PlayerOptions, length time.Duration) [][]byte {
	t.Helper()
	var published [][]byte
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		o.Publisher = publisher(func(data []byte) error {
			published = append(published, data)
			return nil
		})
		if err := mustPlayer(t, o).Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	return published
}

func TestPlayer_equalSeedsGiveEqualDays(t *testing.T) {
	first := play(t, demo.PlayerOptions{Seed: 7}, 121500*time.Millisecond)
	second := play(t, demo.PlayerOptions{Seed: 7}, 121500*time.Millisecond)
	if len(first) == 0 || !slices.EqualFunc(first, second, bytes.Equal) {
		t.Error("two days with one seed differ")
	}
}

func TestPlayer_keepsTheRate(t *testing.T) {
	for _, want := range []float64{2, 60, 600} {
		const seconds = 20 * 60
		published := play(t, demo.PlayerOptions{Rate: want, Seed: 3}, time.Duration(seconds/want*float64(10*time.Second)))
		if rate := float64(len(published)) / (seconds / want * 10); rate < 0.8*want || rate > 1.2*want {
			t.Errorf("%.2f events per second, want about %v", rate, want)
		}
	}
}

func TestPlayer_stopsAtTheLimit(t *testing.T) {
	if published := play(t, demo.PlayerOptions{Limit: 100}, time.Hour); len(published) != 100 {
		t.Errorf("published %d events, want 100", len(published))
	}
}

// TestPlayer_stateHasWholeMoments reads the state between any two events.
func TestPlayer_stateHasWholeMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var lock sync.Mutex
		var latest string // guarded by lock
		p := mustPlayer(t, demo.PlayerOptions{Publisher: publisher(func(data []byte) error {
			_, rest, _ := strings.Cut(string(data), `"Timestamp":"`)
			lock.Lock()
			defer lock.Unlock()
			latest, _, _ = strings.Cut(rest, `"`)
			return nil
		})})
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		for range 50 {
			time.Sleep(time.Second)
			synctest.Wait()
			lock.Lock()
			published := latest
			lock.Unlock()
			if state := p.State(); state.AsOf < published {
				t.Fatalf("the state is of %s, an event of %s", state.AsOf, published)
			}
		}
		if diff := cmp.Diff(p.State(), p.State()); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestPlayer_continuesAfterFailures(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	reg := prometheus.NewPedanticRegistry()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p := mustPlayer(t, demo.PlayerOptions{
			Publisher: publisher(func([]byte) error { return errors.New("away") }),
			Logger:    zap.New(core), Registerer: reg,
		})
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	if n := logs.Len(); n < 5 || n > 7 {
		t.Errorf("%d lines for a minute of failures, want one in ten seconds", n)
	}
	want := `
# HELP rte_demo_events_total Events of the simulated call centre, by result.
# TYPE rte_demo_events_total counter
rte_demo_events_total{result="published"} 0
`
	err := testutil.GatherAndCompare(reg, strings.NewReader(want), "rte_demo_events_total")
	if err == nil {
		t.Error("no failure was counted")
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}
