package scenarios_test

import (
	"errors"
	"testing"

	"github.com/rte-server/rte-server/bench/scenarios"
)

func TestLoad_readsAllScenarios(t *testing.T) {
	all, err := scenarios.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		quick := s.Quick()
		if quick.Connections() > 100 || quick.TimeoutSeconds > 40 {
			t.Errorf("%s: the quick variant has %d connections and %d seconds",
				s.Name, quick.Connections(), quick.TimeoutSeconds)
		}
	}
}

func TestLoad_refusesUnknownNames(t *testing.T) {
	for _, name := range []string{"none", "../go.mod", ""} {
		if _, err := scenarios.Load(name); !errors.Is(err, scenarios.ErrInvalid) {
			t.Errorf("Load(%q): %v", name, err)
		}
	}
}
