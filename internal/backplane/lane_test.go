package backplane_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

func mustParseID(t testing.TB, text string) events.ID {
	t.Helper()
	id, ok := events.ParseID(text)
	if !ok {
		t.Fatalf("%q is not an id", text)
	}
	return id
}

// The names are a public interface: publishers in any language must compute the same.
func TestLayout_namesLanes(t *testing.T) {
	organization := mustParseID(t, "29F6E823-B484-E611-80C9-00505689257E")
	entity := mustParseID(t, "AA9730C4-CE86-E611-80C9-00505689257E")
	for name, test := range map[string]struct {
		layout backplane.Layout
		want   string
	}{
		"one lane":        {backplane.Layout{}, "rte:org:29f6e823-b484-e611-80c9-00505689257e"},
		"one lane, named": {backplane.Layout{Lanes: 1}, "rte:org:29f6e823-b484-e611-80c9-00505689257e"},
		// crc32("Organization:aa9730c4-ce86-e611-80c9-00505689257e") = 0x72c706a7
		"four lanes": {backplane.Layout{Lanes: 4}, "rte:org:29f6e823-b484-e611-80c9-00505689257e:3"},
		"prefix":     {backplane.Layout{Prefix: "org:b:"}, "org:b:org:29f6e823-b484-e611-80c9-00505689257e"},
		"ten lanes":  {backplane.Layout{Lanes: 10}, "rte:org:29f6e823-b484-e611-80c9-00505689257e:1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.layout.Lane(organization, entity)
			if got != test.want {
				t.Errorf("lane is %s, want %s", got, test.want)
			}
			if id, ok := test.layout.Organization(got); !ok || id != organization {
				t.Errorf("organization of %s is %s, %t", got, id, ok)
			}
		})
	}
}

func TestLayout_refusesOtherNames(t *testing.T) {
	for _, name := range []string{
		"", "rte:org:", "rte:org:1", "rte:hb:29f6e823-b484-e611-80c9-00505689257e",
		"rte:org:29f6e823-b484-e611-80c9-00505689257e:", "rte:org:29f6e823-b484-e611-80c9-00505689257e:-1",
		"rte:org:29f6e823-b484-e611-80c9-00505689257e:1:2", "rte:org:{29f6e823-b484-e611-80c9-00505689257e}",
	} {
		if id, ok := (backplane.Layout{}).Organization(name); ok {
			t.Errorf("%q is a lane of %s", name, id)
		}
	}
}
