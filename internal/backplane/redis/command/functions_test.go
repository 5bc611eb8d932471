package command_test

import (
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// withFunctions returns a client of its own server with the functions.
func withFunctions(t *testing.T) *goredis.Client {
	t.Helper()
	client := rtetest.MustStartRedis(t).Client()
	t.Cleanup(func() { client.Close() })
	if err := client.FunctionLoad(t.Context(), command.Functions()).Err(); err != nil {
		t.Fatalf("function load: %v", err)
	}
	return client
}

// The function checks all its arguments before it writes: an ACL confines a publisher by its keys, and an event that
// is counted but not in the journal is a loss for every node.
func TestFunction_checksBeforeItWrites(t *testing.T) {
	client := withFunctions(t)
	const lane = "rte:org:a"
	own := []string{"rte:j:{rte:org:a}", "rte:n:{rte:org:a}"}
	for name, call := range map[string]struct {
		keys []string
		args []any
		want string
	}{
		"its own": {own, []any{lane, "{}", 10, 0}, ""},
		"with a snapshot": {
			[]string{"rte:j:{rte:org:a}", "rte:n:{rte:org:a}", "rte:s:{rte:org:a}:x"}, []any{lane, "{}", 10, 5}, "",
		},
		"journal of another": {[]string{"rte:j:{rte:org:b}", "rte:n:{rte:org:a}"}, []any{lane, "{}", 10, 0}, "RTEKEY"},
		"counter of another": {[]string{"rte:j:{rte:org:a}", "rte:n:{rte:org:b}"}, []any{lane, "{}", 10, 0}, "RTEKEY"},
		"snapshot of another": {
			[]string{"rte:j:{rte:org:a}", "rte:n:{rte:org:a}", "rte:s:{rte:org:b}:x"}, []any{lane, "{}", 10, 5}, "RTEKEY",
		},
		"snapshot with no name": {
			[]string{"rte:j:{rte:org:a}", "rte:n:{rte:org:a}", "rte:s:{rte:org:a}"}, []any{lane, "{}", 10, 5}, "RTEKEY",
		},
		"another command":      {own, []any{lane, "{}", 10, 0, "DEL"}, "RTEARG"},
		"a part of an entry":   {own, []any{lane, "{}", "10.5", 0}, ""},
		"no length":            {own, []any{lane, "{}"}, "RTEARG"},
		"a word for a length":  {own, []any{lane, "{}", "many", 0}, "RTEARG"},
		"less than no entries": {own, []any{lane, "{}", -1, 0}, "RTEARG"},
		"endless":              {own, []any{lane, "{}", "inf", 0}, "RTEARG"},
		"no number":            {own, []any{lane, "{}", "nan", 0}, "RTEARG"},
		"no event":             {own, []any{lane}, "RTEARG"},
		"nothing":              {own, nil, "RTEKEY"},
	} {
		t.Run(name, func(t *testing.T) {
			state := func() (entries, counter int64) {
				counter, _ = client.Get(t.Context(), own[1]).Int64()
				return client.XLen(t.Context(), own[0]).Val(), counter
			}
			entries, counter := state()
			err := client.FCall(t.Context(), "rte_publish", call.keys, call.args...).Err()
			entriesThen, counterThen := state()
			added, counted := entriesThen-entries, counterThen-counter
			if call.want == "" && (err != nil || added != 1 || counted != 1) {
				t.Errorf("%v, %d entries were added and %d counted", err, added, counted)
			}
			if call.want != "" && (err == nil || !strings.HasPrefix(err.Error(), call.want) || added != 0 || counted != 0) {
				t.Errorf("%v, %d entries were added and %d counted; want %s", err, added, counted, call.want)
			}
		})
	}
}

// Redis refused a snapshot with a fraction of a second as its lifetime, and the old snapshot stayed.
func TestFunction_lifetimesAreWholeSeconds(t *testing.T) {
	client := withFunctions(t)
	keys := []string{"rte:j:{rte:org:a}", "rte:n:{rte:org:a}", "rte:s:{rte:org:a}:x"}
	for _, test := range []struct {
		ttl  any
		want string // the end of the snapshot; empty: there is none
	}{{60, "60"}, {"2.5", "2.5"}, {"0.5", ""}, {"inf", "inf"}, {"nan", ""}} {
		if err := client.FCall(
			t.Context(), "rte_publish", keys, "rte:org:a", fmt.Sprint(test.ttl), 10, test.ttl,
		).Err(); err != nil {
			t.Fatal(err)
		}
		got, _ := client.Get(t.Context(), keys[2]).Result()
		if _, event, _ := strings.Cut(got, "\n"); event != test.want {
			t.Errorf("after a lifetime of %v the snapshot is %q, want %q", test.ttl, event, test.want)
		}
	}
}
