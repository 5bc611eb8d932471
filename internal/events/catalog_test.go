package events_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func TestLookup_findsNamesInAnyCase(t *testing.T) {
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

func TestLookup_allocatesNothing(t *testing.T) {
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

func TestDefinition_isNilForOtherNumbers(t *testing.T) {
	c := events.Builtin()
	if c.Definition(0) != nil || c.Definition(32) != nil || c.Definition(65535) != nil {
		t.Error("got a definition for a number that is no type")
	}
}
