package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/demo"
	"github.com/rte-server/rte-server/internal/events"
)

// publisher makes a demo.Publisher from a function.
type publisher func(data []byte) error

func (p publisher) Publish(_ context.Context, data []byte) error { return p(data) }

// live runs a day of the given length in fake time and returns the published events.
func live(t *testing.T, o demo.Options, length time.Duration) [][]byte {
	t.Helper()
	var published [][]byte
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		o.Publisher = publisher(func(data []byte) error {
			published = append(published, bytes.Clone(data))
			return nil
		})
		if err := demo.New(o).Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
	return published
}

func TestSimulator_equalSeedsGiveEqualDays(t *testing.T) {
	first := live(t, demo.Options{Seed: 7}, 2*time.Minute)
	second := live(t, demo.Options{Seed: 7}, 2*time.Minute)
	if len(first) == 0 || !slices.EqualFunc(first, second, bytes.Equal) {
		t.Error("two days with one seed differ")
	}
	if other := live(t, demo.Options{Seed: 8}, 2*time.Minute); slices.EqualFunc(first, other, bytes.Equal) {
		t.Error("days with two seeds are equal")
	}
}

func TestSimulator_keepsTheRate(t *testing.T) {
	for _, speed := range []float64{1, 50} {
		seconds := 1800 / speed
		published := live(t, demo.Options{Seed: 1, Speed: speed}, time.Duration(seconds*float64(time.Second)))
		rate := float64(len(published)) / seconds
		if want := demo.NaturalRate * speed; rate < 0.9*want || rate > 1.1*want {
			t.Errorf("speed %v: %.2f events per second, want about %v", speed, rate, want)
		}
	}
}

func TestSimulator_stopsAtTheLimit(t *testing.T) {
	if published := live(t, demo.Options{Limit: 100}, time.Hour); len(published) != 100 {
		t.Errorf("published %d events, want 100", len(published))
	}
}

// TestSimulator_propertiesEqualTheSamples compares the properties of every event with the published sample.
func TestSimulator_propertiesEqualTheSamples(t *testing.T) {
	catalog := events.Builtin()
	wanted := map[string][]string{} // names of properties by event type
	for _, name := range catalog.Names() {
		sample, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		wanted[name] = properties(t, sample)
	}
	// The published page has these properties in the table only, not in the sample.
	wanted["QueueCallInOverflow"] = append(wanted["QueueCallInOverflow"], "OverflowReason", "OverflowType")
	slices.Sort(wanted["QueueCallInOverflow"])

	seen := map[string]int{}
	for _, data := range live(t, demo.Options{Seed: 3}, 30*time.Minute) {
		if _, err := catalog.Decode(data); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		var event struct{ EventType string }
		if err := json.Unmarshal(data, &event); err != nil {
			t.Fatal(err)
		}
		if seen[event.EventType]++; seen[event.EventType] > 1 {
			continue
		}
		if diff := cmp.Diff(wanted[event.EventType], properties(t, data)); diff != "" {
			t.Errorf("%s: %s", event.EventType, diff)
		}
	}
	t.Logf("%d types: %v", len(seen), seen)
	if len(seen) < 24 {
		t.Errorf("only %d types of events", len(seen))
	}
}

// properties returns the sorted names of the properties of a JSON object.
func properties(t *testing.T, data []byte) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestSimulator_goesOnAfterFailures(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	reg := prometheus.NewPedanticRegistry()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		simulator := demo.New(demo.Options{
			Publisher: publisher(func([]byte) error { return errors.New("away") }),
			Logger:    zap.New(core), Registerer: reg,
		})
		if err := simulator.Run(ctx); err != nil {
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

func TestOrganization_hasUniqueIDs(t *testing.T) {
	o := demo.NewOrganization()
	kinds := map[string]int{}
	ids := map[string]bool{}
	for _, entity := range o.Entities() {
		kinds[entity.Type]++
		if ids[entity.ID] {
			t.Errorf("two entities have the id %s", entity.ID)
		}
		ids[entity.ID] = true
	}
	if kinds["Queue"] < 3 || kinds["User"] < 20 || kinds["CallList"] < 2 {
		t.Errorf("entities: %v", kinds)
	}
	if o.User(o.Users[4].ID) != &o.Users[4] || o.User(o.ID) != nil {
		t.Error("User returned the wrong user")
	}
}
