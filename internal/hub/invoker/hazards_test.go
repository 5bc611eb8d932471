package invoker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/hub/invoker"
)

// The hazards of the library are listed in docs/decisions/0001-library-behind-a-filter.md. loop_test.go tests them on a
// loop alone; here they meet the library.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an Invoker that runs.
type rig struct {
	*invoker.Invoker
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs
}

// run runs test in fake time and checks afterwards that no call is left.
func run(t *testing.T, places int, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		r := &rig{metrics: prometheus.NewRegistry(), logs: logs}
		var err error
		r.Invoker, err = invoker.New(invoker.Options{Places: places, Registerer: r.metrics, Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		test(t, r)
		stop()
		running.Wait()
		r.expectMetric(t, "rte_hub_pool_busy", 0)
	})
}

func (r *rig) expectMetric(t *testing.T, name string, want float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		if got := f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
		return
	}
	t.Errorf("no metric %s", name)
}

// expectRecord makes a call whose function returns result and compares its completion.
func (r *rig) expectRecord(t *testing.T, id string, result any, want string) {
	t.Helper()
	c := &invoker.Call{ID: id, Run: func() any { return result }}
	if how := r.Invoke(t.Context(), c); how != invoker.OK {
		t.Errorf("the call ended as %v", how)
	}
	if diff := cmp.Diff(want, string(c.Record())); diff != "" {
		t.Errorf("record: -want +got\n%s", diff)
	}
}

func TestInvoke_makesTheCompletionOfTheClient(t *testing.T) {
	message := "no"
	for name, test := range map[string]struct {
		id     string
		result any
		want   string
	}{
		"True":       {"1", true, `{"type":3,"invocationId":"1","result":true}`},
		"Strings":    {"1", []string{"a", "b"}, `{"type":3,"invocationId":"1","result":["a","b"]}`},
		"EmptyList":  {"1", []string{}, `{"type":3,"invocationId":"1","result":[]}`},
		"Pointer":    {"1", []*string{&message, nil}, `{"type":3,"invocationId":"1","result":["no",null]}`},
		"IDIsQuoted": {`a"b` + "\x1e", true, `{"type":3,"invocationId":"a\"b\u001e","result":true}`},
		"NoID":       {"", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, 1, func(t *testing.T, r *rig) { r.expectRecord(t, test.id, test.result, test.want) })
		})
	}
}

func TestInvoke_givesUpWithoutAPlace(t *testing.T) {
	run(t, 1, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() {
			r.Invoke(t.Context(), &invoker.Call{Run: func() any { <-gate; return true }})
		})
		synctest.Wait()
		r.expectMetric(t, "rte_hub_pool_busy", 1)
		late := &invoker.Call{Run: func() any { t.Error("the call ran"); return true }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if how := r.Invoke(ctx, late); how != invoker.TimedOut {
			t.Errorf("the call that waited too long ended as %v", how)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if how := r.Invoke(ctx, late); how != invoker.Abandoned {
			t.Errorf("the canceled call ended as %v", how)
		}
		close(gate)
		running.Wait()
	})
}

func TestNew_refusesNegativePlaces(t *testing.T) {
	_, err := invoker.New(invoker.Options{Places: -1})
	if err == nil || !strings.Contains(err.Error(), "Options.Places") {
		t.Errorf("error %v", err)
	}
}

func TestH10_panicFailsTheCallAndKeepsTheLoop(t *testing.T) {
	run(t, 1, func(t *testing.T, r *rig) {
		for range 3 {
			c := &invoker.Call{ID: "1", Method: "Subscribe", Run: func() any { panic("the secret is 42") }}
			if how := r.Invoke(t.Context(), c); how != invoker.Failed || c.Record() != nil {
				t.Errorf("ended as %v with record %q", how, c.Record())
			}
		}
		r.expectRecord(t, "2", true, `{"type":3,"invocationId":"2","result":true}`)
		r.expectMetric(t, "rte_hub_pool_replaced_total", 0)
		if n := r.logs.FilterMessage("hub method panicked").Len(); n != 3 {
			t.Errorf("%d panics are logged", n)
		}
	})
}

func TestH14_idleLoopsStay(t *testing.T) {
	run(t, 0, func(t *testing.T, r *rig) {
		time.Sleep(365 * 24 * time.Hour)
		synctest.Wait()
		r.expectRecord(t, "1", true, `{"type":3,"invocationId":"1","result":true}`)
		r.expectMetric(t, "rte_hub_pool_replaced_total", 0)
	})
}

// TestH18_libraryPrintsNothing does not run in parallel: it replaces the program's outputs.
func TestH18_libraryPrintsNothing(t *testing.T) {
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = output, output
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()

	run(t, 1, func(t *testing.T, r *rig) {
		r.expectRecord(t, "1", true, `{"type":3,"invocationId":"1","result":true}`)
		r.Invoke(t.Context(), &invoker.Call{Run: func() any { panic("x") }})
		r.BreakLoop()
	})
	if info, err := output.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("something was printed: %v %v", info.Size(), err)
	}
}

func TestH20_endedLoopIsReplaced(t *testing.T) {
	run(t, 1, func(t *testing.T, r *rig) {
		r.expectRecord(t, "1", true, `{"type":3,"invocationId":"1","result":true}`)
		for n := range 3 {
			if how := r.BreakLoop(); how != invoker.Failed {
				t.Errorf("the call that the loop had ended as %v", how)
			}
			r.expectRecord(t, "2", true, `{"type":3,"invocationId":"2","result":true}`)
			r.expectMetric(t, "rte_hub_pool_replaced_total", float64(n+1))
		}
	})
}

// BenchmarkInvoke measures a call that does nothing: the price of the library.
func BenchmarkInvoke(b *testing.B) {
	i, err := invoker.New(invoker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { i.Run(ctx) })
	defer running.Wait()
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		i.Invoke(ctx, &invoker.Call{ID: "1", Run: func() any { return true }})
	}
}
