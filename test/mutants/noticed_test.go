package mutants

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// way are the packages on the way of an event, and those that decide who gets it.
func way() []string {
	return []string{
		"./internal/authz", "./internal/authz/directory", "./internal/authz/token", "./internal/authz/watch",
		"./internal/backplane", "./internal/backplane/redis", "./internal/backplane/redis/command",
		"./internal/backplane/redis/peer", "./internal/backplane/resp", "./internal/backplane/sequence",
		"./internal/events", "./internal/fanout", "./internal/hub", "./internal/hub/invoker", "./internal/ingest",
		"./internal/node", "./internal/subscriptions", "./internal/transport", "./internal/transport/fallback",
		"./internal/transport/hubprotocol", "./internal/transport/relay", "./internal/transport/websocket",
	}
}

// judges are further packages whose tests try mutants.
func judges() []string { return []string{"./internal/simtest", "./cmd/rte-server"} }

// tally counts the mutants of a package.
type tally struct{ mutants, tried, reached, noticed int }

// TestMutants_areNoticed tries a sample of RTE_MUTANTS mutants, which RTE_MUTANTS_SEED chooses. RTE_MUTANTS_DOC names
// the page that gets the results, RTE_MUTANTS_LIST the file that gets the mutants that no test noticed.
func TestMutants_areNoticed(t *testing.T) {
	if os.Getenv("RTE_MUTANTS") == "" {
		t.Log("`make mutants` tries mutants")
		return
	}
	count, seed := number(t, "RTE_MUTANTS"), number(t, "RTE_MUTANTS_SEED")
	began := time.Now()
	all, option := change(t, t.TempDir(), way()...)
	t.Logf("%d mutants", len(all))
	tr := newTrial(t, option, append(way(), judges()...))
	tallies := map[string]*tally{}
	for _, m := range all {
		if tallies[m.folder()] == nil {
			tallies[m.folder()] = &tally{}
		}
		tallies[m.folder()].mutants++
	}
	chance := rand.New(rand.NewPCG(uint64(seed), 0))
	chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var unnoticed strings.Builder
	var lock sync.Mutex
	each(t, all[:min(count, len(all))], func(ctx context.Context, _ int, m mutant) error {
		noticed := tr.notices(ctx, &m)
		lock.Lock()
		defer lock.Unlock()
		of := tallies[m.folder()]
		of.tried++
		if len(tr.reaching[m.number]) > 0 {
			of.reached++
		}
		if noticed {
			of.noticed++
		} else {
			fmt.Fprintf(&unnoticed, "%s\t%d tests reach it\n", &m, len(tr.reaching[m.number]))
		}
		return ctx.Err()
	})
	if name := os.Getenv("RTE_MUTANTS_LIST"); name != "" {
		write(t, filepath.Join(root, name), []byte(unnoticed.String()))
	}
	text := fmt.Sprintf("Sample with seed %d, %s on %d processors.\n\n%s",
		seed, time.Since(began).Round(time.Minute), runtime.NumCPU(), table(tallies))
	t.Logf("\n%s", text)
	if all := sum(tallies); 2*all.noticed < all.tried {
		t.Errorf("the tests notice %d of %d mutants, less than half", all.noticed, all.tried)
	}
	if name := os.Getenv("RTE_MUTANTS_DOC"); name != "" && !t.Failed() {
		rtetest.MustReplaceBlock(t, filepath.Join(root, name), "mutants", text)
	}
}

// number returns the value of an environment variable.
func number(t *testing.T, variable string) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// table returns the results by package.
func table(tallies map[string]*tally) string {
	var text strings.Builder
	text.WriteString("| package | mutants | tried | reached by a test | noticed |\n|---|---|---|---|---|\n")
	for _, folder := range slices.Sorted(maps.Keys(tallies)) {
		fmt.Fprintf(&text, "| `%s` | %s |\n", folder, tallies[folder])
	}
	fmt.Fprintf(&text, "| all | %s |\n", sum(tallies))
	return text.String()
}

// sum returns the counts of all packages.
func sum(tallies map[string]*tally) *tally {
	var all tally
	for _, of := range tallies {
		all.mutants += of.mutants
		all.tried += of.tried
		all.reached += of.reached
		all.noticed += of.noticed
	}
	return &all
}

// String returns the cells of a row.
func (n *tally) String() string {
	percent := func(part int) string {
		if n.tried == 0 {
			return "–"
		}
		return fmt.Sprintf("%d (%d %%)", part, 100*part/n.tried)
	}
	return fmt.Sprintf("%d | %d | %s | %s", n.mutants, n.tried, percent(n.reached), percent(n.noticed))
}
