package simulator_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/simulator"
)

func TestLoadScenario_readsNamesAndFiles(t *testing.T) {
	o := simulator.NewOrganization()
	for _, name := range simulator.Scenarios() {
		if scenario := mustScenario(t, name, o); scenario.Name != name || scenario.Description == "" {
			t.Errorf("%s: %+v", name, scenario)
		}
	}
	if !slices.Contains(simulator.Scenarios(), simulator.DefaultScenario) {
		t.Error("the default scenario does not exist")
	}
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("description: mine\nmaxWait: 40s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if scenario := mustScenario(t, file, o); scenario.MaxWait != 40*time.Second || scenario.QueueSize == 0 {
		t.Errorf("%+v", scenario)
	}
}

func TestLoadScenario_namesWhatIsWrong(t *testing.T) {
	o := simulator.NewOrganization()
	for _, name := range []string{"calm-dya", "./none.yaml", "../scenarios"} {
		if _, err := simulator.LoadScenario(name, o); err == nil || !strings.Contains(err.Error(), "scenario") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseScenario_readsTheOneOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/demo.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/demo.md has no scenario")
	}
	scenario, err := simulator.ParseScenario("docs", []byte(text), simulator.NewOrganization())
	if err != nil || len(scenario.Incidents) != 3 {
		t.Errorf("%+v %v", scenario, err)
	}
	for _, name := range simulator.Scenarios() {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/demo.md lacks %s", name)
		}
	}
}

func TestParseScenario_namesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"patiense: {}":                                      "patiense",
		"clock: noon":                                       `"noon" is no time of day`,
		"clock: 10:00\n---\nclock: 11:00":                   "more than one document",
		"calls: []":                                         "calls: needs",
		"calls: [{at: 10:00, rate: -1}]":                    "calls[0].rate: -1",
		"calls: [{at: 10:00, rate: .nan}]":                  "calls[0].rate",
		"calls: [{at: 10:00}, {at: 9:00}]":                  "calls[1].at: 09:00",
		"declined: 0.7\nunanswered: 0.6":                    "declined, unanswered",
		"hold: -0.1":                                        "hold",
		"park: .nan":                                        "park",
		"ringing: 1s":                                       "ringing: 1s",
		"maxWait: 0s":                                       "maxWait",
		"queueSize: 0":                                      "queueSize",
		"shifts: []":                                        "shifts",
		"shifts: [8-9]":                                     "no time of day",
		"hours: {default: ['18:00-08:00']}":                 "hours.default[0]",
		"hours: {Complaints: []}":                           `no queue "Complaints"`,
		"alerts: [{name: x, when: bored}]":                  `"bored"`,
		"alerts: [{when: waiting, least: 1}]":               "needs a name",
		"incidents: [{kind: flood, for: 1s}]":               `"flood"`,
		"incidents: [{kind: outage, for: 1s}]":              `no queue ""`,
		"incidents: [{kind: absence, for: 1s}]":             "fraction",
		"incidents: [{kind: surge, factor: 1}]":             "for must be positive",
		"incidents: [{kind: surge, factor: 1000, for: 1s}]": "factor",
		strings.Repeat("# long\n", 20_000):                  "more than 65536 bytes",
	} {
		if _, err := simulator.ParseScenario("mine", []byte(text), simulator.NewOrganization()); err == nil ||
			!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "scenario mine: ") {
			t.Errorf("%q: got %v, want an error about %s", text, err, want)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	for _, name := range simulator.Scenarios() {
		text, err := os.ReadFile("scenarios/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("calls: [{at: 10:00, rate: 1000}]\npatience: {least: 0s, mean: 0s}\nanswer: {least: 0s, most: 0s}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := simulator.NewOrganization()
		scenario, err := simulator.ParseScenario("fuzz", text, o)
		if err != nil {
			return
		}
		s, err := simulator.New(simulator.Options{Organization: o, Scenario: scenario})
		if err != nil {
			t.Fatal(err)
		}
		for range 500 { // the simulator can simulate each accepted scenario
			s.Advance(nil)
		}
		if err := s.Recount(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOrganization_hasUniqueIDs(t *testing.T) {
	for _, o := range []*simulator.Organization{
		simulator.NewOrganization(), simulator.Generate(1), simulator.Generate(1000),
	} {
		kinds := map[string]int{}
		ids := map[string]bool{}
		for _, entity := range o.Entities() {
			kinds[entity.Type]++
			if ids[entity.ID] {
				t.Errorf("two entities have the id %s", entity.ID)
			}
			ids[entity.ID] = true
		}
		if kinds["Queue"] < 1 || kinds["User"] < 2 || kinds["CallList"] < 1 {
			t.Errorf("entities: %v", kinds)
		}
		if o.User(o.Users[1].ID) != &o.Users[1] || o.User(o.ID) != nil {
			t.Error("User returned the wrong user")
		}
	}
}
