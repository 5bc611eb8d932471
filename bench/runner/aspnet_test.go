package runner_test

import (
	"os"
	"testing"

	"github.com/rte-server/rte-server/bench/peer"
	"github.com/rte-server/rte-server/bench/proc"
	"github.com/rte-server/rte-server/bench/runner"
	"github.com/rte-server/rte-server/bench/scenarios"
)

// TestPlay_findsNoFaultsOfASPNETCore plays a short variant with ASP.NET Core, where there is a dotnet on the PATH.
func TestPlay_findsNoFaultsOfASPNETCore(t *testing.T) {
	peers, _ := peer.Find([]string{"aspnet"})
	peers, missing := peer.Installed(peers)
	if len(missing) > 0 {
		t.Logf("not played: %v", missing)
		return
	}
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	files, err := proc.RaiseOpenFiles(2000)
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	if err := peer.Build(t.Context(), peers, "..", binaries); err != nil {
		t.Fatal(err)
	}
	plans, err := scenarios.Load("trickle")
	if err != nil {
		t.Fatal(err)
	}
	options := runner.Options{
		Binaries: binaries, ServerCore: cores[len(cores)-1], LoadCore: cores[0], MaxRSS: 1 << 30, OpenFiles: files,
		Progress: testWriter{t}, ServerLog: os.Stderr,
	}
	for _, p := range peers {
		t.Run(p.Name, func(t *testing.T) { play(t.Context(), t, options, plans[0].Quick(), p) })
	}
}
