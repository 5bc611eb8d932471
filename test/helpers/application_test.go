package helpers

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// application is the program of node/view.mjs, or of another language with the same commands, in a process.
type application struct {
	t     *testing.T
	stdin io.Writer

	mu      sync.Mutex
	lastID  int                 // guarded by mu
	answers map[int]chan answer // guarded by mu
	done    <-chan struct{}     // closed at the end of the process
}

type answer struct {
	ID     int
	Result json.RawMessage
	Error  string
	Gone   string
}

// view is what the application has.
type view struct {
	State, Reason           string
	Reasons, States, Errors []string
	Discontinuities         []struct {
		Reason string
		From   *time.Time
		Shown  map[string]int
	}
	Calls         map[string][]int
	Last          map[string]int
	Twice         []string
	Subscriptions map[string]string
}

// mustBuild builds the helper and returns the folder of its node_modules.
func mustBuild(t *testing.T) string {
	t.Helper()
	return client.MustBuild(t, "node")
}

// mustRun runs a program in a folder and returns what it prints.
func mustRun(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rtetest.MustLookPath(t, program, "make deps"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// inNode starts the application in Node with a module of the helper, such as index.js.
func inNode(t *testing.T, s *stage, module string) *application {
	t.Helper()
	path := filepath.Join(mustBuild(t), "node_modules/@rte-server/client/dist", module)
	return mustStart(t, exec.Command("node", "node/node.mjs", path, s.web.URL+"/token", s.web.URL+"/truth"))
}

// starter starts the application with a helper.
type starter func(*testing.T, *stage) *application

// helpers returns the starters of the application, by name.
func helpers() map[string]starter {
	return map[string]starter{
		"node":   func(t *testing.T, s *stage) *application { return inNode(t, s, "index.js") },
		"python": inPython,
		"java":   inJava,
	}
}

// withEach runs a test with each helper.
func withEach(t *testing.T, test func(t *testing.T, start starter)) {
	t.Helper()
	for name, start := range helpers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

// inPython starts the application with the helper for Python.
func inPython(t *testing.T, s *stage) *application {
	t.Helper()
	python := mustBeInstalled(t, "build/helper/bin/python")
	cmd := exec.Command(python, "python/app.py", s.web.URL+"/token", s.web.URL+"/truth")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+repository+"/clients/python/src")
	return mustStart(t, cmd)
}

// inJava starts the application with the helper for Java.
func inJava(t *testing.T, s *stage) *application {
	t.Helper()
	mustBuildJava(t)
	return mustStart(t, javaCommand("App", s.web.URL+"/token", s.web.URL+"/truth"))
}

// mustBeInstalled returns the path of something that "make deps" makes.
func mustBeInstalled(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: make deps", err)
	}
	return path
}

// inBrowser starts the application in a page.
func inBrowser(t *testing.T, s *stage) *application {
	t.Helper()
	playwright, err := filepath.Abs(repository + "/test/e2e/node_modules/playwright-core/index.js")
	if err != nil {
		t.Fatal(err)
	}
	browser := rtetest.MustLookPath(t, "chromium", "apt-get install chromium")
	return mustStart(t, exec.Command("node", "node/chromium.mjs", playwright, browser, s.web.URL+"/page.html"))
}

func mustStart(t *testing.T, cmd *exec.Cmd) *application {
	t.Helper()
	cmd.Stderr = os.Stderr
	a := &application{t: t, answers: map[int]chan answer{}}
	a.stdin, a.done = rtetest.MustFollow(t, cmd, a.take) // it ends by itself, unless the helper leaves something behind
	return a
}

// take takes a line that the process prints.
func (a *application) take(line []byte) {
	var got answer
	if err := json.Unmarshal(line, &got); err != nil {
		a.t.Errorf("the application printed %q", line)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if waiting, ok := a.answers[got.ID]; ok {
		waiting <- got
		delete(a.answers, got.ID)
	} else if got.Gone != "" {
		a.t.Logf("the client is gone: %s", got.Gone)
	}
}

// do calls a function of the application.
func (a *application) do(name string, more map[string]any, into any) {
	a.t.Helper()
	command := map[string]any{"do": name}
	maps.Copy(command, more)
	waiting := make(chan answer, 1)
	a.mu.Lock()
	a.lastID++
	command["id"] = a.lastID
	a.answers[a.lastID] = waiting
	text, err := json.Marshal(command)
	if err == nil {
		_, err = a.stdin.Write(append(text, '\n'))
	}
	a.mu.Unlock()
	if err != nil {
		a.t.Fatal(err)
	}
	select {
	case got := <-waiting:
		if got.Error != "" {
			a.t.Fatalf("%s: %s", name, got.Error)
		}
		if into != nil {
			if err := json.Unmarshal(got.Result, into); err != nil {
				a.t.Fatalf("%s answered %s: %v", name, got.Result, err)
			}
		}
	case <-a.done:
		a.t.Fatalf("%s: the application has ended", name)
	case <-time.After(2 * rtetest.Patience):
		a.t.Fatalf("%s: no answer", name)
	}
}

// see returns the view.
func (a *application) see() view {
	a.t.Helper()
	var v view
	a.do("see", nil, &v)
	return v
}

// await polls the view until a condition holds.
func (a *application) await(what string, condition func(view) bool) view {
	a.t.Helper()
	for deadline := time.Now().Add(2 * rtetest.Patience); ; time.Sleep(50 * time.Millisecond) {
		v := a.see()
		if condition(v) {
			return v
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(v, "", "  ")
			a.t.Fatalf("waited in vain for %s:\n%.4000s", what, text)
		}
	}
}

// awaitState waits for a kind of state.
func (a *application) awaitState(kind string) view {
	a.t.Helper()
	return a.await("the state "+kind, func(v view) bool { return v.State == kind })
}

// awaitChange waits until the client's state changes after a fault. The client may be right again before the test sees
// the view, so this reads the list of its states.
func (a *application) awaitChange(fault func()) {
	a.t.Helper()
	before := len(a.see().States)
	fault()
	a.await("the client to notice", func(v view) bool { return len(v.States) > before })
}

// subscribe subscribes to topics.
func (a *application) subscribe(all []topic) {
	a.t.Helper()
	a.do("subscribe", map[string]any{"topics": all}, nil)
}
