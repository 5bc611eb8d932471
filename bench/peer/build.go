package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

// ErrBuild is the error of a program that could not be built.
var ErrBuild = errors.New("build failed")

// builders are the programs that build the peers in other languages than Go, by kind.
var builders = map[string]string{aspnetKind: "dotnet", bunKind: "npm", limitKind: "gcc"}

// Installed returns the peers that this machine can build, and names the missing programs of the others.
func Installed(peers []Peer) (found []Peer, missing []string) {
	found = slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool {
		builder, ok := builders[p.Kind]
		if !ok {
			return false
		}
		if _, err := exec.LookPath(builder); err == nil {
			return false
		}
		missing = append(missing, fmt.Sprintf("%s (no %s on the PATH)", p.Name, builder))
		return true
	})
	return found, missing
}

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
		if err := build(ctx, p.Kind, bench, binaries); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBuild, p.Kind, err)
		}
	}
	return nil
}

// build builds the program of the peers of one kind.
func build(ctx context.Context, kind, bench, binaries string) error {
	dir, output := filepath.Join(bench, "peers", kind), filepath.Join(binaries, kind)
	switch kind {
	case "centrifugo":
		return run(ctx, dir, "go", "build", "-o", output, "github.com/centrifugal/centrifugo/v6")
	case natsKind:
		return run(ctx, dir, "go", "build", "-o", output, "github.com/nats-io/nats-server/v2")
	case "rte", untracedKind:
		return run(ctx, filepath.Join(bench, ".."), "go", "build", "-o", filepath.Join(binaries, "rte-server"),
			"./cmd/rte-server")
	case limitKind:
		return run(ctx, dir, "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", output, "limit.c")
	case aspnetKind:
		// One process builds: servers of the compiler would outlive it.
		return run(ctx, dir, "dotnet", "build", "-c", "Release", "--nologo", "-verbosity:quiet",
			"-maxcpucount:1", "-p:UseSharedCompilation=false", "-o", output)
	case bunKind:
		return buildBun(ctx, dir, output)
	default:
		return run(ctx, dir, "go", "build", "-o", output, ".")
	}
}

// buildBun installs Bun from its package, without its install script, and copies the files that the server needs.
func buildBun(ctx context.Context, dir, output string) error {
	if err := run(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return err
	}
	if err := os.MkdirAll(output, 0o755); err != nil { //nolint:gosec // all users may run the programs
		return fmt.Errorf("make folder: %w", err)
	}
	arch := map[string]string{"amd64": "x64", "arm64": "aarch64"}[runtime.GOARCH]
	program := filepath.Join(dir, "node_modules", "@oven", "bun-"+runtime.GOOS+"-"+arch, "bin", "bun")
	for name, mode := range map[string]fs.FileMode{program: 0o755, filepath.Join(dir, "server.js"): 0o644} {
		data, err := os.ReadFile(name) //nolint:gosec // the names above
		if err != nil {
			return fmt.Errorf("read program: %w", err)
		}
		//nolint:gosec // the names above
		if err := os.WriteFile(filepath.Join(output, filepath.Base(name)), data, mode); err != nil {
			return fmt.Errorf("copy program: %w", err)
		}
	}
	return nil
}

// run runs a command in a folder. The error has its output.
func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the names above
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
