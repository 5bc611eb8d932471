package audit

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

func TestMain(m *testing.M) {
	goredis.SetLogger(quiet{}) // publishers fail while Redis is away
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// quiet is a logger of the Redis client that logs nothing.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// full reports whether the test provokes all faults, as "make chaos" does. Instead of 1, RTE_CHAOS may be a part of the
// names of those to provoke.
func full() bool { return os.Getenv("RTE_CHAOS") != "" }

// skips reports whether the test leaves out a fault.
func (f fault) skips() bool {
	part := os.Getenv("RTE_CHAOS")
	return f.long && !full() || len(part) > 1 && !strings.Contains(f.name, part)
}

// Three nodes behind HAProxy, publishers of all tiers and clients of several kinds: each acknowledged event reaches
// each client once and in order, or the client gets a notice; and nothing else reaches it. RTE_CHAOS_DOC names a page
// that gets the table.
func TestAudit(t *testing.T) {
	var all history.Report
	for _, s := range sites() {
		provoked := slices.DeleteFunc(slices.Clone(s.faults), fault.skips)
		if s.long && !full() || len(provoked) == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			all.Rows = append(all.Rows, newDeployment(t, s.prepare).audit(provoked).Rows...)
		})
	}
	if page := os.Getenv("RTE_CHAOS_DOC"); page != "" && !t.Failed() {
		rtetest.MustReplaceBlock(t, filepath.Join("..", "..", page), "chaos", all.Table("fault"))
	}
}

// audit provokes faults and decides.
func (d *deployment) audit(list []fault) *history.Report {
	d.t.Helper()
	calm := time.Second
	if full() {
		calm = 20 * time.Second
	}
	d.publish.start(d.streams)
	whole := d.waitWhole("the start")
	lasts(calm)
	for _, f := range list {
		if !whole {
			break // the findings will explain it
		}
		d.rec.phase(f.name, false)
		began := time.Now()
		f.do(d)
		lasts(time.Second)
		whole = d.waitWhole(f.name)
		d.t.Logf("%s: whole after %s", f.name, time.Since(began).Round(100*time.Millisecond))
	}
	d.publish.stop()
	if whole {
		d.waitWhole("the end")
	}
	d.readStates()
	h := d.rec.history(d.rec.now())
	report := history.Check(h)
	d.t.Logf("\n%s", report.Table("fault"))
	for i := range report.Rows {
		row := &report.Rows[i]
		forks := slices.ContainsFunc(list, func(f fault) bool { return f.name == row.Phase && f.forks })
		switch {
		case row.Delivered == 0:
			d.t.Errorf("%s: nothing was delivered", row.Phase)
		case row.Unrepaired() > 0 && !forks:
			d.t.Errorf("%s: %d deliveries of events with a journal did not come, although the connection stayed",
				row.Phase, row.Unrepaired())
		}
	}
	if len(report.Findings) > 0 {
		d.t.Errorf("the server broke its promise:\n%s", report.Explain())
	}
	if d.t.Failed() {
		d.t.Logf("the history is in %s; RTE_HISTORY=FILE go test -v -run TestKeptHistory ./test/audit decides again",
			d.keep(h))
	}
	return report
}

// RTE_HISTORY names a file that a failed audit kept.
func TestKeptHistory(t *testing.T) {
	path := os.Getenv("RTE_HISTORY")
	if path == "" {
		path = t.TempDir() + "/history.json.gz"
		empty := &history.History{Phases: []history.Phase{{Name: "nothing"}}}
		if err := history.Keep(empty, path); err != nil {
			t.Fatal(err)
		}
	}
	h, err := history.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	report := history.Check(h)
	t.Logf("\n%s", report.Table("fault"))
	if len(report.Findings) > 0 {
		t.Error(report.Explain())
	}
}
