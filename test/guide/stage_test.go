package guide

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start, and client the helper with the modules of Node; TestMain removes both.
var (
	programs rtetest.Programs
	client   rtetest.TypeScriptClient
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		client.Remove()
		os.Exit(code)
	}))
}

const repository = "../.."

// mustRead returns a file of the repository.
func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is a block of code of a page.
type block struct{ language, text string }

// blocksOf returns the blocks of a page in their order. Blocks in lists lose their indentation.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	var all []block
	fence := regexp.MustCompile("(?ms)^( *)```(\\w+)\n(.*?\n)\\s*```$")
	for _, found := range fence.FindAllStringSubmatch(mustRead(t, page), -1) {
		text := strings.ReplaceAll("\n"+found[3], "\n"+found[1], "\n")[1:]
		all = append(all, block{found[2], text})
	}
	return all
}

// blocksIn returns the texts of a page's blocks in a language.
func blocksIn(t *testing.T, page, language string) []string {
	t.Helper()
	var all []string
	for _, b := range blocksOf(t, page) {
		if b.language == language {
			all = append(all, b.text)
		}
	}
	return all
}

// development is a development server.
type development struct {
	t                 *testing.T
	listen, operators string
	server            *rtetest.Server
}

// startDevelopment starts "rte-server dev" and waits until it serves.
func startDevelopment(t *testing.T, flags ...string) *development {
	t.Helper()
	d := &development{t: t, listen: rtetest.MustFreeAddr(t), operators: rtetest.MustFreeAddr(t)}
	d.start(flags...)
	return d
}

func (d *development) start(flags ...string) {
	d.t.Helper()
	args := append([]string{"dev", "--listen=" + d.listen, "--console.listen=" + d.operators}, flags...)
	path := programs.MustBuild(d.t, "node", repository+"/docs", repository+"/examples", repository+"/README.md")
	d.server = rtetest.MustStartProgram(d.t, exec.Command(path, args...))
	d.server.WaitFor("the URLs", func() bool { return strings.Contains(d.server.Log(), "operators   http") })
}

// here returns a text of a page with the addresses of this server.
func (d *development) here(text string) string {
	return strings.NewReplacer("127.0.0.1:8080", d.listen, "127.0.0.1:9090", d.operators).Replace(text)
}

// mustFolder returns a folder with node_modules.
func mustFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	modules := filepath.Join(client.MustBuild(t), "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mustWrite writes a file and returns its path.
func mustWrite(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines is a program that prints lines.
type lines struct {
	t       *testing.T
	scanner *bufio.Scanner
}

// mustStart starts a program that ends with its standard input, or is killed at the end of the test.
func mustStart(t *testing.T, cmd *exec.Cmd) *lines {
	t.Helper()
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	hung := time.AfterFunc(4*rtetest.Patience, kill) // so that reading its lines ends
	t.Cleanup(func() {
		hung.Stop()
		kill()
		_ = cmd.Wait()
	})
	l := &lines{t: t, scanner: bufio.NewScanner(stdout)}
	l.scanner.Buffer(nil, 1<<20)
	return l
}

// next returns the next line.
func (l *lines) next() string {
	l.t.Helper()
	return l.await("")
}

// await reads lines until each of the texts came, in any order, and returns the last line.
func (l *lines) await(texts ...string) string {
	l.t.Helper()
	var all []string
	for l.scanner.Scan() {
		line := l.scanner.Text()
		all = append(all, line)
		texts = slices.DeleteFunc(texts, func(text string) bool { return strings.Contains(line, text) })
		if len(texts) == 0 {
			return line
		}
	}
	l.t.Fatalf("the program never printed %q, but:\n%.2000s", texts, strings.Join(all, "\n"))
	return ""
}
