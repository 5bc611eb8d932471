package runner_test

import (
	"context"
	"os"
	"testing"

	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/runner"
	"github.com/rte-server/rte-server/bench/scenarios"
)

// TestPlay_findsNoFaults plays the short variants with real servers. Nothing may be lost, repeated or out of order,
// and both servers must deliver the same number of bytes.
func TestPlay_findsNoFaults(t *testing.T) {
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	files, err := proc.RaiseOpenFiles(2000)
	if err != nil {
		t.Fatal(err)
	}
	peers, missing := peer.Find([]string{"limit1", "rte-redis"})
	if len(missing) > 0 {
		t.Fatalf("no peer %v", missing)
	}
	binaries := t.TempDir()
	if err := peer.Build(t.Context(), peers, "..", binaries); err != nil {
		t.Fatal(err)
	}
	options := runner.Options{
		Binaries: binaries, ServerCore: cores[len(cores)-1], LoadCore: cores[0], MaxRSS: 1 << 30, OpenFiles: files,
		Progress: testWriter{t}, ServerLog: os.Stderr,
	}
	plans, err := scenarios.Load("trickle", "queues", "storm")
	if err != nil {
		t.Fatal(err)
	}
	perDelivery := map[string]uint64{}
	for _, plan := range plans {
		for _, p := range peers {
			if !plan.Plays(p.Kind) {
				continue
			}
			t.Run(plan.Name+" "+p.Name, func(t *testing.T) {
				for _, m := range play(t.Context(), t, options, plan.Quick(), p) {
					if m.Scenario == "trickle" && m.Delivered() > 0 {
						perDelivery[p.Name] = m.Groups[0].Bytes / m.Delivered()
					}
				}
			})
		}
	}
	limit, rte := perDelivery["limit1"], perDelivery["rte-redis"]
	if limit == 0 || rte < limit-4 || rte > limit+4 {
		t.Errorf("a delivery has %d bytes from the limit and %d from rte-server", limit, rte)
	}
}

// play plays one scenario and checks each measurement.
func play(
	ctx context.Context, t *testing.T, o runner.Options, plan scenarios.Scenario, p peer.Peer,
) []runner.Measurement {
	t.Helper()
	measurements := runner.Play(ctx, o, plan, p, 1)
	if len(measurements) == 0 {
		t.Fatal("nothing was measured")
	}
	for _, m := range measurements {
		if m.Error != "" || m.Failed > 0 {
			t.Errorf("%s: error %q, %d failed: %s", m.Record, m.Error, m.Failed, m.FirstFailure)
		}
		if m.Published > 0 && m.Delivered() == 0 {
			t.Errorf("%s: %d events and no delivery", m.Record, m.Published)
		}
		for _, g := range m.Groups {
			if g.Missing+g.Late+g.Duplicates+g.Foreign+g.Closed > 0 {
				t.Errorf("%s, group %s: %d missing, %d late, %d duplicates, %d foreign, %d closed",
					m.Record, g.Name, g.Missing, g.Late, g.Duplicates, g.Foreign, g.Closed)
			}
		}
	}
	return measurements
}

// testWriter writes to the log of a test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
