package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrBuild is the error of a program that could not be built.
var ErrBuild = errors.New("build failed")

// Build builds the programs of peers into the folder binaries. bench is the folder of this module.
func Build(ctx context.Context, peers []Peer, bench, binaries string) error {
	binaries, err := filepath.Abs(binaries)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	if err := os.MkdirAll(binaries, 0o755); err != nil { //nolint:gosec // all users may run the programs
		return fmt.Errorf("make folder: %w", err)
	}
	done := map[string]bool{}
	for _, p := range peers {
		if done[p.Kind] {
			continue
		}
		done[p.Kind] = true
		dir, pkg := filepath.Join(bench, "peers", p.Kind), "."
		output := filepath.Join(binaries, p.Kind)
		switch p.Kind {
		case "centrifugo":
			pkg = "github.com/centrifugal/centrifugo/v5"
		case "rte":
			dir, pkg = filepath.Join(bench, ".."), "./cmd/rte-server"
			output = filepath.Join(binaries, "rte-server")
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-o", output, pkg) //nolint:gosec // the names above
		if p.Kind == aspnetKind {
			// In one process: servers of the compiler would outlive it.
			//nolint:gosec // as above
			cmd = exec.CommandContext(ctx, "dotnet", "build", "-c", "Release", "--nologo", "-verbosity:quiet",
				"-maxcpucount:1", "-p:UseSharedCompilation=false", "-o", output)
		}
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s: %w\n%s", ErrBuild, p.Kind, err, out)
		}
	}
	return nil
}
