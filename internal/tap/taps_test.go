package tap_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/tap"
	"github.com/rte-server/rte-server/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTaps(o tap.Options) *tap.Taps {
	if o.Max == 0 {
		o.Max = 2
	}
	if o.Rate == 0 {
		o.Rate = 100
	}
	if o.Bytes == 0 {
		o.Bytes = 1 << 20
	}
	return tap.New(o)
}

func mustOpen(t testing.TB, taps *tap.Taps, f tap.Filter) *tap.Tap {
	t.Helper()
	o, err := taps.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func event(organization, entity byte, kind events.Type) *events.Event {
	return &events.Event{
		Topic: events.Topic{Organization: events.ID{organization}, Entity: events.ID{entity}, Type: kind},
		ID:    events.NewID(), Data: []byte(`{"a":1}`),
	}
}

func TestTap_copiesWhatItsFilterSelects(t *testing.T) {
	subscribed := func(topic events.Topic) bool { return topic.Entity == events.ID{1} }
	for name, test := range map[string]struct {
		filter  tap.Filter
		outcome trace.Outcome
		want    bool
	}{
		"everything":           {tap.Filter{}, trace.Unmatched, true},
		"the organization":     {tap.Filter{Organization: events.ID{7}}, trace.Matched, true},
		"another organization": {tap.Filter{Organization: events.ID{8}}, trace.Matched, false},
		"the entity":           {tap.Filter{Entity: events.ID{1}}, trace.Matched, true},
		"another entity":       {tap.Filter{Entity: events.ID{2}}, trace.Matched, false},
		"one of the types":     {tap.Filter{Types: []events.Type{4, 3}}, trace.Matched, true},
		"another type":         {tap.Filter{Types: []events.Type{4}}, trace.Matched, false},
		"a subscription":       {tap.Filter{Subscribed: subscribed}, trace.Matched, true},
		"nothing delivered":    {tap.Filter{Subscribed: subscribed}, trace.Expired, false},
	} {
		t.Run(name, func(t *testing.T) {
			taps := newTaps(tap.Options{})
			o := mustOpen(t, taps, test.filter)
			ev := event(7, 1, 3)
			taps.Event(ev, time.Now(), test.outcome, 5)
			ev.Data[0] = 'x' // the worker uses its buffer again
			copies, dropped := o.Take()
			if (len(copies) == 1) != test.want || dropped != (tap.Dropped{}) {
				t.Fatalf("copied %v, dropped %v", copies, dropped)
			}
			if test.want && (string(copies[0].Data) != `{"a":1}` || copies[0].Size != 7 || copies[0].Subscribers != 5 ||
				copies[0].Outcome != test.outcome) {
				t.Errorf("copy %+v", copies[0])
			}
		})
	}
}

func TestTap_countsWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := false
		reg := prometheus.NewPedanticRegistry()
		taps := newTaps(tap.Options{Rate: 10, Bytes: 2000, Registerer: reg, Short: func() bool { return short }})
		o := mustOpen(t, taps, tap.Filter{})
		offer := func(n int) {
			for range n {
				taps.Event(event(7, 1, 3), time.Now(), trace.Matched, 1)
			}
		}
		check := func(when string, copies int, want tap.Dropped) {
			t.Helper()
			if got, dropped := o.Take(); len(got) != copies || dropped != want {
				t.Errorf("%s: %d copies, dropped %v", when, len(got), dropped)
			}
		}
		offer(9)
		check("without a reader", 7, tap.Dropped{tap.QueueFull: 2})
		offer(9)
		check("above the rate", 3, tap.Dropped{tap.AboveRate: 6})
		time.Sleep(time.Second)
		short = true
		check("nothing", 0, tap.Dropped{})
		offer(3)
		check("short of memory", 0, tap.Dropped{tap.MemoryShort: 3})
		short = false
		check("nothing", 0, tap.Dropped{})
		offer(2)
		check("with memory again", 2, tap.Dropped{})
		if n := testutil.CollectAndCount(reg, "rte_tap_dropped_total"); n != 4 {
			t.Errorf("%d reasons", n)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("metrics: %v %v", problems, err)
		}
	})
}

// All nodes must select the same events: otherwise a sample shows only some of the nodes that have an event.
func TestTap_samplesTheSameEventsEverywhere(t *testing.T) {
	large := tap.Options{Rate: 1 << 20, Bytes: 1 << 30}
	first, second := newTaps(large), newTaps(large)
	a, b := mustOpen(t, first, tap.Filter{Sample: 0.1}), mustOpen(t, second, tap.Filter{Sample: 0.1, WithoutData: true})
	const all = 20_000
	for n := range all {
		ev := event(7, 1, 3)
		if n%2 == 0 { // ids in order
			ev.ID = events.ID{0: 9, 14: byte(n >> 8), 15: byte(n)}
		}
		first.Event(ev, time.Now(), trace.Matched, 1)
		second.Event(ev, time.Now(), trace.Matched, 1)
	}
	copies, dropped := a.Take()
	others, _ := b.Take()
	if len(copies) < all/12 || len(copies) > all/8 || int(dropped[tap.Sampled]) != all-len(copies) ||
		len(others) != len(copies) {
		t.Fatalf("%d and %d copies, dropped %v", len(copies), len(others), dropped)
	}
	for i := range copies {
		if copies[i].ID != others[i].ID || others[i].Data != nil {
			t.Fatalf("event %d differs: %v and %v", i, copies[i].ID, others[i].ID)
		}
	}
	first.Event(&events.Event{}, time.Now(), trace.Matched, 1) // without an id, chance decides
}

func TestTaps_haveABound(t *testing.T) {
	taps := newTaps(tap.Options{Max: 2})
	a, b := mustOpen(t, taps, tap.Filter{}), mustOpen(t, taps, tap.Filter{})
	if _, err := taps.Open(tap.Filter{}); !errors.Is(err, tap.ErrFull) || taps.Len() != 2 {
		t.Errorf("a third tap: %v", err)
	}
	a.Close()
	a.Close()
	mustOpen(t, taps, tap.Filter{}).Close()
	b.Close()
	taps.Event(event(7, 1, 3), time.Now(), trace.Matched, 1)
	if copies, _ := b.Take(); len(copies) != 0 || taps.Len() != 0 {
		t.Errorf("%d copies after the end", len(copies))
	}
	var none *tap.Taps
	none.Event(event(7, 1, 3), time.Now(), trace.Matched, 1)
	if none.Len() != 0 {
		t.Error("no taps have a tap")
	}
}

// TestTaps_openAndCloseDuringEvents is for the race detector.
func TestTaps_openAndCloseDuringEvents(t *testing.T) {
	taps := newTaps(tap.Options{Max: 4})
	var running sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					taps.Event(event(7, 1, 3), time.Now(), trace.Matched, 1)
				}
			}
		})
	}
	var opening sync.WaitGroup
	for range 4 {
		opening.Go(func() {
			for range 200 {
				o := mustOpen(t, taps, tap.Filter{})
				select {
				case <-o.Waiting():
				case <-time.After(time.Millisecond):
				}
				o.Take()
				o.Close()
			}
		})
	}
	opening.Wait()
	close(stop)
	running.Wait()
}

func TestTaps_allocateNothingWithoutATap(t *testing.T) {
	taps := newTaps(tap.Options{})
	other := mustOpen(t, taps, tap.Filter{Entity: events.ID{99}})
	ev, now := event(7, 1, 3), time.Now()
	check := func(when string) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, func() { taps.Event(ev, now, trace.Matched, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", when, n)
		}
	}
	check("a tap of other events")
	other.Close()
	check("no tap")
}

// BenchmarkTaps_Event is the cost of taps for each event: without a tap, with one that selects other events, and with
// one above its rate.
func BenchmarkTaps_Event(b *testing.B) {
	for _, filters := range []map[string]*tap.Filter{
		{"none": nil}, {"other": {Entity: events.ID{99}}}, {"all": {}},
	} {
		for name, filter := range filters {
			b.Run(fmt.Sprintf("tap=%s", name), func(b *testing.B) {
				taps := newTaps(tap.Options{})
				if filter != nil {
					mustOpen(b, taps, *filter)
				}
				ev, now := event(7, 1, 3), time.Now()
				for b.Loop() {
					taps.Event(ev, now, trace.Matched, 1)
				}
			})
		}
	}
}
