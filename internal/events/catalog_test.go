package events_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func TestBuiltin_AgreesWithPublished(t *testing.T) {
	c := events.Builtin()
	var names []string
	for _, want := range published(t) {
		names = append(names, want.Name)
		number, ok := c.Lookup(want.Name)
		if !ok {
			t.Errorf("%s is not in the catalogue", want.Name)
			continue
		}
		got := c.Definition(number)
		if got.Name != want.Name || got.Kind.String() != want.Kind || got.TTLSeconds != want.TTLSeconds {
			t.Errorf("got %s of a %s living %d s, want %s of a %s living %d s",
				got.Name, got.Kind, got.TTLSeconds, want.Name, want.Kind, want.TTLSeconds)
		}
		if got.State() != (want.TTLSeconds >= 0) {
			t.Errorf("%s: state is %v with a lifetime of %d s", got.Name, got.State(), want.TTLSeconds)
		}
	}
	if got := c.Names(); !slices.Equal(got, names) {
		t.Errorf("got names %v, want %v", got, names)
	}
}

func TestCatalog_Lookup(t *testing.T) {
	c := events.Builtin()
	tests := map[string]struct {
		name, want string
	}{
		"AsPublished":      {"QueueStatus", "QueueStatus"},
		"LowerCase":        {"queuestatus", "QueueStatus"},
		"UpperCase":        {"QUEUESTATUS", "QueueStatus"},
		"TextOfTheAPI":     {"UserCallIncoming", "UserCallInComing"},
		"TextOfTheAPI2":    {"QueueCallIncoming", "QueueCallInComing"},
		"Unknown":          {"QueueStatu", ""},
		"Empty":            {"", ""},
		"Space":            {"QueueStatus ", ""},
		"KelvinSign":       {"callbac\u212achanged", ""},
		"LongerThanSane":   {strings.Repeat("QueueStatus", 1000), ""},
		"NotLetterButSame": {"Queue\x13tatus", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			number, ok := c.Lookup(tc.name)
			if ok != (tc.want != "") {
				t.Fatalf("found is %v", ok)
			}
			if !ok {
				if number != 0 || c.Definition(number) != nil {
					t.Errorf("got type %d", number)
				}
				return
			}
			def := c.Definition(number)
			if def.Name != tc.want || def.LowerName() != strings.ToLower(tc.want) {
				t.Errorf("got %s (%s), want %s", def.Name, def.LowerName(), tc.want)
			}
		})
	}
}

func TestCatalog_LookupAllocatesNothing(t *testing.T) {
	c := events.Builtin()
	long := strings.Repeat("x", 100_000)
	allocs := testing.AllocsPerRun(100, func() {
		c.Lookup("UserStatus")
		c.Lookup("userSTATUS")
		c.Lookup("nothing")
		c.Lookup(long)
	})
	if allocs != 0 {
		t.Errorf("allocated %v times, want 0", allocs)
	}
}

func TestCatalog_DefinitionOfOtherNumbers(t *testing.T) {
	c := events.Builtin()
	if c.Definition(0) != nil || c.Definition(32) != nil || c.Definition(65535) != nil {
		t.Error("got a definition for a number that is no type")
	}
}
