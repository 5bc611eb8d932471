package internal_test

import (
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module   = "github.com/rte-server/rte-server/"
	ours     = module + "internal/"
	commands = module + "cmd/"
)

// mayImport has a line for each package: its name, and the packages of ours that it may import. A line that begins with
// a space continues the one before. It is a text, not a Go map, so that a changed line does not align all others again.
const mayImport = `
events: jsonscan msgpack
jsonscan:
msgpack:
authz: authz/directory authz/token authz/watch events
authz/directory: authz/watch diagnosis events
authz/token: authz/watch diagnosis events jsonscan
authz/watch:
subscriptions: events
fanout: events subscriptions tap trace
tap: events trace
trace: events
hub: authz events fanout hub/invoker jsonscan tracing
hub/invoker:
transport: authz authz/token events fanout hub jsonscan tracing transport/admission transport/fallback
 transport/forwarded transport/hubprotocol transport/origins transport/relay transport/transports transport/websocket
transport/admission: events
transport/forwarded:
transport/hubprotocol: events fanout jsonscan msgpack transport/websocket
transport/websocket:
transport/fallback: transport/websocket
transport/transports:
transport/relay: transport/websocket
transport/origins:
backplane: events tap trace
backplane/sequence: backplane events
backplane/redis: backplane backplane/redis/command backplane/redis/peer backplane/resp backplane/sequence diagnosis
 events
backplane/redis/command: backplane events
backplane/redis/peer: backplane backplane/sequence events
backplane/resp:
backplane/respserver: backplane backplane/resp events
config: authz authz/directory authz/token authz/watch backplane loopback subscriptions tracing transport/forwarded
 transport/origins transport/transports
node: authz authz/directory authz/token authz/watch backplane backplane/redis config console diagnosis events fanout
 hub ingest logsink memory smuggling tap trace tracing transport transport/forwarded transport/hubprotocol
 transport/relay transport/transports
console: authz authz/token events hub loopback tap trace
ingest: backplane events jsonscan tracing
loadgen:
loopback:
memory:
logsink:
smuggling:
demo: authz authz/directory events simulator
simulator: authz events
diagnosis:
tracing:
simtest:
wakeup:

backplane/backplanetest: backplane events
events/facts:
events/facts/extract: events/facts
events/generate: events
rtetest: authz authz/token backplane console demo events fanout hub transport
`

// anyMayImport lists the leaves that every package may import.
const anyMayImport = "wakeup"

// livesIn has a line for each driver: its import path, and the packages that may import it. "cmd" is every command.
// cmd imports signalr for the client of "tap".
const livesIn = `
github.com/golang-jwt/jwt: authz/token rtetest
github.com/MicahParks/jwkset: authz/token
github.com/coreos/go-systemd: node
github.com/pires/go-proxyproto: transport/forwarded
github.com/philippseith/signalr: cmd hub/invoker rtetest transport
go.opentelemetry.io: rtetest tracing
github.com/redis/go-redis: backplane/redis backplane/redis/command rtetest
net: authz/token backplane/redis backplane/respserver cmd config console demo diagnosis hub loopback node rtetest
 smuggling transport transport/fallback transport/relay transport/websocket
net/http: authz/directory authz/token cmd console demo ingest loadgen node rtetest tracing transport transport/relay
`

// lists reads lines of a name, a colon and a list.
func lists(text string) map[string][]string {
	all := map[string][]string{}
	latest := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") {
			all[latest] = append(all[latest], strings.Fields(line)...)
		} else if name, list, ok := strings.Cut(line, ":"); ok {
			all[name], latest = strings.Fields(list), name
		}
	}
	return all
}

// TestImports reads the sources itself: the result of a test that ran "go list" would be cached and go stale.
func TestImports(t *testing.T) {
	mayImport, anyMay := lists(mayImport), strings.Fields(anyMayImport)
	for _, pkg := range packages(t, ".") {
		allowed, known := mayImport[pkg.Dir]
		if !known {
			t.Errorf("%s is not on the map: add it here and in docs/architecture.md", pkg.Dir)
		}
		for _, imported := range slices.Concat(pkg.Imports, pkg.TestImports, pkg.XTestImports) {
			if strings.HasPrefix(imported, commands) {
				t.Errorf("%s imports %s: nothing imports a command", pkg.Dir, imported)
			}
		}
		for _, imported := range pkg.Imports {
			name, isOurs := strings.CutPrefix(imported, ours)
			if isOurs && !slices.Contains(anyMay, name) && !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s; it may import %v", pkg.Dir, name, allowed)
			}
		}
		checkDrivers(t, pkg.Dir, pkg.Imports)
	}
	for _, pkg := range packages(t, "../cmd") {
		checkDrivers(t, "cmd", pkg.Imports)
	}
}

// TestMap_isCheckedIn compares the import graph in docs/architecture.md with the sources. "make map" writes it.
func TestMap_isCheckedIn(t *testing.T) {
	var rows []string
	for _, root := range []string{".", "../cmd"} {
		for _, pkg := range packages(t, root) {
			row := map[string]string{".": pkg.Dir, "../cmd": "cmd/" + pkg.Dir}[root] + ":"
			for _, imported := range pkg.Imports {
				if name, isOurs := strings.CutPrefix(imported, module); isOurs {
					row += " " + strings.TrimPrefix(name, "internal/")
				}
			}
			rows = append(rows, row)
		}
	}
	rows = append(rows, "internal:") // this folder, which has only tests
	slices.Sort(rows)
	document, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, written, _ := strings.Cut(string(document), "<!-- made by make map: begin -->\n\n```text\n")
	written, _, _ = strings.Cut(written, "\n```\n\n<!-- made by make map: end -->")
	if diff := cmp.Diff(rows, strings.Split(written, "\n")); diff != "" {
		t.Errorf("the import graph in docs/architecture.md is old, run make map:\n%s", diff)
	}
}

// TestProgramWithoutTestHelp keeps test help out of the program; mayImport keeps it out of the packages.
func TestProgramWithoutTestHelp(t *testing.T) {
	for _, pkg := range packages(t, "../cmd") {
		for _, help := range []string{"backplane/backplanetest", "events/facts", "events/generate", "rtetest"} {
			if slices.Contains(pkg.Imports, ours+help) {
				t.Errorf("cmd/%s imports %s outside of its tests", pkg.Dir, help)
			}
		}
	}
}

// checkDrivers fails t for every driver that pkg imports and that does not live there.
func checkDrivers(t *testing.T, pkg string, imports []string) {
	t.Helper()
	for _, imported := range imports {
		for driver, homes := range lists(livesIn) {
			isDriver := imported == driver || driver != "net" && strings.HasPrefix(imported, driver+"/")
			if isDriver && !slices.Contains(homes, pkg) {
				t.Errorf("%s imports %s, which lives in %v", pkg, imported, homes)
			}
		}
	}
}

// packages reads every package below root; Dir is its path from there.
func packages(t *testing.T, root string) []*build.Package {
	t.Helper()
	var found []*build.Package
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if entry.Name() == "testdata" {
			return fs.SkipDir
		}
		pkg, err := build.ImportDir(path, 0)
		if noGo := (*build.NoGoError)(nil); errors.As(err, &noGo) {
			return nil
		}
		if err != nil || len(pkg.GoFiles) == 0 { // a folder of tests imports what it likes
			return err
		}
		pkg.Dir, err = filepath.Rel(root, path)
		found = append(found, pkg)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no package below %s", root)
	}
	return found
}
