package node

import (
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// TestOrganizationMetrics_areBounded has 1,000 organizations, of which two stand out by one figure each.
func TestOrganizationMetrics_areBounded(t *testing.T) {
	all := map[events.ID]*organizationUse{}
	for i := range 1000 {
		all[events.ID{1, byte(i >> 8), byte(i)}] = &organizationUse{connections: 10, Traffic: fanout.Traffic{Bytes: 10}}
	}
	crowded, loud := events.ID{2}, events.ID{3}
	all[crowded] = &organizationUse{connections: 11}
	all[loud] = &organizationUse{Traffic: fanout.Traffic{Bytes: 11}}
	families, err := newOrganizationMetrics(func() map[events.ID]*organizationUse { return all }).Gather()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range families {
		if f.GetName() == "rte_organizations" {
			if n := f.GetMetric()[0].GetGauge().GetValue(); n != 1002 {
				t.Errorf("%v organizations, want 1002", n)
			}
			continue
		}
		for _, m := range f.GetMetric() {
			named[m.GetLabel()[0].GetValue()] = true
		}
	}
	if !named[crowded.String()] || !named[loud.String()] {
		t.Error("an organization with the highest figure is missing")
	}
	if most := topOrganizations * len(organizationFigures); len(named) > most || len(named) < topOrganizations {
		t.Errorf("%d organizations have series, want %d to %d", len(named), topOrganizations, most)
	}
}
