package hub_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/hub"
)

func TestParseFeatures_readsNamesInAnyCase(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want hub.Features
	}{
		"nothing":            {},
		"notices":            {"notices", hub.Features{Notices: true}},
		"both":               {"notices,snapshot", hub.Features{Notices: true, Snapshot: true}},
		"all":                {"limits,notices,snapshot", hub.Features{Notices: true, Snapshot: true, Limits: true}},
		"spaces and case":    {" Snapshot ,, NOTICES", hub.Features{Notices: true, Snapshot: true}},
		"unknown is ignored": {"replay,notices,*", hub.Features{Notices: true}},
		"parts of names":     {"notice,snapshots", hub.Features{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hub.ParseFeatures(test.text); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if again := hub.ParseFeatures(strings.Join(test.want.Names(), ",")); again != test.want {
				t.Errorf("the names are %v", test.want.Names())
			}
		})
	}
}
