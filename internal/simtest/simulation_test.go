package simtest_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

var (
	seedFlag  = flag.Uint64("simtest.seed", 0, "run this seed and print its trace")
	firstFlag = flag.Uint64("simtest.first", 1, "first of the seeds")
	countFlag = flag.Int("simtest.count", 25, "number of seeds")
	allFlag   = flag.Bool("simtest.all", false, "name all seeds that fail, in place of the shortest schedule of the first")
)

// length is the number of steps of a schedule.
const length = 120

func TestMain(m *testing.M) {
	flag.Parse()
	redis.QuietDriver()
	// With one processor, goroutines run in the same order each time, as long as none is interrupted. Garbage collection
	// would interrupt them; it runs between seeds.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	os.Exit(m.Run())
}

// outcome is how a schedule ended.
type outcome struct {
	failures []string
	broken   string // which part of the guarantee
	trace    string
}

// play runs a schedule.
func play(t *testing.T, steps []step) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(tiersOf(steps))
		if err != nil {
			t.Fatal(err)
		}
		w.pass(100 * time.Millisecond)
		for i, s := range steps {
			time.Sleep(time.Millisecond)
			w.begin(fmt.Sprintf("%d: %s", i, s))
			actions[s.kind].do(w, s)
			w.rest()
			if len(w.failures) > 0 {
				break
			}
		}
		if len(w.failures) == 0 {
			w.quiet()
		}
		w.end()
		o = outcome{w.failures, w.broken, w.text()}
	})
	runtime.GC()
	return o
}

// shrink drops steps while a schedule still breaks the same part of the guarantee.
func shrink(t *testing.T, steps []step, broken string) []step {
	t.Helper()
	for part := len(steps) / 2; part > 0; part /= 2 {
		for at := 0; at+part <= len(steps); {
			shorter := slices.Delete(slices.Clone(steps), at, at+part)
			if play(t, shorter).broken == broken {
				steps = shorter
			} else {
				at += part
			}
		}
	}
	return steps
}

// report fails t with the shortest schedule that it finds.
func report(t *testing.T, seed uint64, steps []step, o outcome) {
	t.Helper()
	short := shrink(t, steps, o.broken)
	last := play(t, short)
	if len(last.failures) == 0 { // it does not fail each time
		short, last = steps, o
	}
	var list strings.Builder
	for _, s := range short {
		fmt.Fprintf(&list, "\t%s\n", s)
	}
	t.Errorf("seed %d: %s\nreplay with -simtest.seed=%d; %d steps:\n%s\n%s",
		seed, strings.Join(last.failures, "\n"), seed, len(short), list.String(), tail(last.trace, 60))
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// TestSimulation plays the schedules of seeds.
func TestSimulation(t *testing.T) {
	if *seedFlag > 0 {
		steps := schedule(*seedFlag, length)
		o := play(t, steps)
		t.Log("\n" + o.trace)
		if len(o.failures) > 0 {
			report(t, *seedFlag, steps, o)
		}
		return
	}
	for i := range *countFlag {
		seed := *firstFlag + uint64(i)
		steps := schedule(seed, length)
		switch o := play(t, steps); {
		case len(o.failures) == 0:
		case *allFlag:
			t.Errorf("seed %d: %s", seed, o.failures[0])
		default:
			report(t, seed, steps, o)
			return
		}
	}
}

// TestSimulation_regressions plays the seeds that have found a bug.
func TestSimulation_regressions(t *testing.T) {
	list, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		text, _, _ := strings.Cut(line, " ")
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("not a seed: %q", line)
		}
		steps := schedule(seed, length)
		if o := play(t, steps); len(o.failures) > 0 {
			report(t, seed, steps, o)
		}
	}
}

// TestReplay_isTheSame plays seeds twice and compares what happened. Both runs must agree about the guarantee. Their
// traces are the same on an idle machine. They differ in a few seeds on a busy one, where the Go runtime interrupts
// goroutines, and in more with the race detector, which changes the order of goroutines at random.
func TestReplay_isTheSame(t *testing.T) {
	seeds := 50
	if rtetest.RaceEnabled {
		seeds = 3
	}
	differ := 0
	for seed := range seeds {
		steps := schedule(uint64(seed)+1, length)
		first, second := play(t, steps), play(t, steps)
		if len(first.failures)+len(second.failures) > 0 {
			t.Errorf("seed %d fails: %v %v", seed+1, first.failures, second.failures)
		}
		if first.trace != second.trace {
			differ++
			t.Logf("the traces of seed %d differ", seed+1)
		}
	}
	t.Logf("the traces of %d of %d seeds differ", differ, seeds)
	if differ > seeds/4 && !rtetest.RaceEnabled {
		t.Error("too many traces differ")
	}
}
