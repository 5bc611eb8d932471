package simulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/simulator"
)

func mustScenario(t testing.TB, name string, o *simulator.Organization) *simulator.Scenario {
	t.Helper()
	scenario, err := simulator.LoadScenario(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return scenario
}

// mustNew returns a simulator of the demo organization.
func mustNew(t testing.TB, scenario string, seed uint64) *simulator.Simulator {
	t.Helper()
	o := simulator.NewOrganization()
	s, err := simulator.New(simulator.Options{Organization: o, Scenario: mustScenario(t, scenario, o), Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// live advances to a simulated time.
func live(s *simulator.Simulator, until time.Duration, emit func(data []byte)) {
	for end := s.Next().Add(until - s.Elapsed()); s.Next().Before(end); {
		s.Advance(emit)
	}
}

// digest returns a hash of all events of a day.
func digest(s *simulator.Simulator, length time.Duration) string {
	hash := sha256.New()
	live(s, length, func(data []byte) {
		hash.Write(data)
		hash.Write([]byte("\n"))
	})
	return fmt.Sprintf("%x", hash.Sum(nil))
}

func TestSimulator_equalSeedsGiveEqualBytes(t *testing.T) {
	for _, scenario := range simulator.Scenarios() {
		first, second := mustNew(t, scenario, 7), mustNew(t, scenario, 7)
		if digest(first, 5*time.Minute) != digest(second, 5*time.Minute) {
			t.Errorf("%s: two days with one seed differ", scenario)
		}
		if diff := cmp.Diff(first.State(), second.State()); diff != "" {
			t.Errorf("%s: states with one seed differ: %s", scenario, diff)
		}
		if digest(mustNew(t, scenario, 7), time.Minute) == digest(mustNew(t, scenario, 8), time.Minute) {
			t.Errorf("%s: days with two seeds are equal", scenario)
		}
	}
}

// TestSimulator_hasAllTypesInFiveMinutes counts the types of events that a user of "dev" sees.
func TestSimulator_hasAllTypesInFiveMinutes(t *testing.T) {
	f := newFollower(t)
	catalog := events.Builtin()
	live(mustNew(t, simulator.DefaultScenario, 1), 5*time.Minute, func(data []byte) { f.follow(catalog, data) })
	for _, name := range catalog.Names() {
		if f.seen[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
	if len(f.seen) != 31 {
		t.Errorf("%d types of events, want 31: %v", len(f.seen), f.seen)
	}
	t.Log(f.seen)
}

// TestSimulator_isCoherent follows every call, agent and queue, and compares all states with the steps before them.
func TestSimulator_isCoherent(t *testing.T) {
	for _, scenario := range simulator.Scenarios() {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s %d", scenario, seed), func(t *testing.T) {
				t.Parallel()
				follow(t, mustNew(t, scenario, seed), 10*time.Minute)
			})
		}
	}
}

// TestSimulator_isCoherentInAWeek follows organizations of several sizes for a part of a week, and 1,000 agents for a
// whole one if RTE_SIMULATED_DAYS is 7 (10 minutes, make week).
func TestSimulator_isCoherentInAWeek(t *testing.T) {
	for _, agents := range []int{1, 7, 120} {
		t.Run(fmt.Sprintf("%d agents", agents), func(t *testing.T) {
			t.Parallel()
			follow(t, mustGenerate(t, agents, uint64(agents)), time.Duration(2*24*60/agents)*time.Minute)
		})
	}
	length := time.Minute
	if days, err := strconv.Atoi(os.Getenv("RTE_SIMULATED_DAYS")); err == nil {
		length = time.Duration(days) * 24 * time.Hour
	}
	t.Run(fmt.Sprintf("1000 agents %v", length), func(t *testing.T) {
		t.Parallel()
		follow(t, mustGenerate(t, 1000, 1), length)
	})
}

func mustGenerate(t testing.TB, agents int, seed uint64) *simulator.Simulator {
	t.Helper()
	o := simulator.Generate(agents)
	s, err := simulator.New(simulator.Options{
		Organization: o, Scenario: mustScenario(t, "testdata/week.yaml", o), Seed: seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// follow follows a day and compares it with the simulator's own state in between.
func follow(t *testing.T, s *simulator.Simulator, length time.Duration) {
	f := newFollower(t)
	catalog := events.Builtin()
	last := 0
	for next := time.Duration(0); next <= length; next += 10 * time.Second {
		live(s, next, func(data []byte) { f.follow(catalog, data) })
		if err := s.Recount(); err != nil {
			t.Fatal(err)
		}
		state := s.State()
		for _, q := range state.Queues {
			known := f.line(q.ID)
			if q.Waiting != known.waiting || q.Ringing != known.ringing || q.Connected != known.talking {
				t.Fatalf("%s: state %+v, events %+v", q.Name, q, known)
			}
			got, want := q.Figures, known.figures
			want.InTime, want.Refused = got.InTime, got.Refused
			if got.Offered != want.Offered || got.Answered != want.Answered || got.Abandoned != want.Abandoned {
				t.Fatalf("%s: figures %+v, events %+v", q.Name, got, want)
			}
			if open := s.OpenAt(q.Name, s.Elapsed()); open != s.OpenAt(q.Name, s.Elapsed()-10*time.Second) {
				continue // it is just opening or closing
			} else if open == (q.OpenStatus == events.OpenStatusClosed) {
				t.Fatalf("%s at %s: OpenStatus %d, open %v", q.Name, state.TimeOfDay, q.OpenStatus, open)
			}
		}
		if len(state.Callbacks) != len(f.callbacks) {
			t.Fatalf("%d open callbacks, %d by the events", len(state.Callbacks), len(f.callbacks))
		}
		last = s.Appointments()
	}
	if last > 200*len(s.State().Users)+1000 {
		t.Errorf("%d appointments: they pile up", last)
	}
	t.Logf("%v", f.seen)
}

// TestSimulator_propertiesEqualTheSamples compares the properties of every event with the published sample.
func TestSimulator_propertiesEqualTheSamples(t *testing.T) {
	wanted := map[string][]string{} // names of properties by event type
	for _, name := range events.Builtin().Names() {
		sample, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		wanted[name] = properties(t, sample)
	}
	// The published page has these properties in the table only, not in the sample.
	for _, name := range []string{"QueueCallInOverflow", "UserCallInOverflow"} {
		wanted[name] = append(wanted[name], "OverflowReason", "OverflowType")
		slices.Sort(wanted[name])
	}
	compared := map[string]bool{}
	live(mustNew(t, simulator.DefaultScenario, 1), 5*time.Minute, func(data []byte) {
		var event struct{ EventType string }
		if err := json.Unmarshal(data, &event); err != nil {
			t.Fatal(err)
		}
		if compared[event.EventType] {
			return
		}
		compared[event.EventType] = true
		if diff := cmp.Diff(wanted[event.EventType], properties(t, data)); diff != "" {
			t.Errorf("%s: %s", event.EventType, diff)
		}
	})
}

// properties returns the sorted names of the properties of a JSON object.
func properties(t *testing.T, data []byte) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(object))
}

func TestSimulator_followsItsScenario(t *testing.T) {
	for _, test := range []struct {
		scenario        string
		least, most     float64 // fraction of abandoned calls
		alertsInAMinute bool
	}{
		{"calm-day", 0, 0.03, false},
		{"bad-monday", 0.12, 0.18, true},
	} {
		var alerts, offered, abandoned int
		for seed := range uint64(6) { // hours differ
			s := mustNew(t, test.scenario, seed)
			live(s, time.Minute, func(data []byte) {
				if bytes.Contains(data, []byte(`"EventType":"UserAlert"`)) {
					alerts++
				}
			})
			live(s, time.Hour, nil)
			for _, q := range s.State().Queues {
				offered += q.Figures.Answered + q.Figures.Abandoned
				abandoned += q.Figures.Abandoned
			}
		}
		fraction := float64(abandoned) / float64(offered)
		t.Logf("%s: %d alerts in a minute, %d of %d calls abandoned: %.1f %%", test.scenario, alerts, abandoned, offered,
			100*fraction)
		if fraction < test.least || fraction > test.most {
			t.Errorf("%s: %.3f of the calls abandoned, want %v to %v", test.scenario, fraction, test.least, test.most)
		}
		if test.alertsInAMinute && alerts == 0 {
			t.Errorf("%s: no alert in the first minute", test.scenario)
		}
	}
}

func BenchmarkSimulator(b *testing.B) {
	for _, agents := range []int{20, 1000} {
		b.Run(fmt.Sprintf("agents=%d", agents), func(b *testing.B) {
			s := mustGenerate(b, agents, 1)
			live(s, 10*time.Minute, nil)
			var made, bytes int
			b.ReportAllocs()
			for b.Loop() {
				for enough := made + 1000; made < enough; {
					s.Advance(func(data []byte) {
						made++
						bytes += len(data)
					})
				}
			}
			b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(bytes)/float64(made), "B/event")
		})
	}
}
