package wallboard_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

func TestWallboard_isCheckedIn(t *testing.T) {
	size := rtetest.CheckBundle(t, "../../web/wallboard", "../../internal/demo/web", "../../clients/typescript/src")
	rtetest.Report(t, t.Name(), "wallboard: "+size)
}

// stage is a development server, a proxy before it, and a browser with the three boards.
type stage struct {
	t      *testing.T
	listen string
	server *rtetest.Server
	proxy  *rtetest.Proxy
	lines  *rtetest.Lines
}

// answer is the output of node/boards.mjs.
type answer struct {
	Problems                 []string
	Took                     int // ms
	Warning, Run, List, Text string
	Height                   float64
	Calls, Names, Active     int
	Supervisor, Agent, Ended []bool
}

func mustStart(t *testing.T, pictures string) *stage {
	t.Helper()
	s := &stage{t: t, listen: rtetest.MustFreeAddr(t)}
	s.start()
	s.proxy = rtetest.MustStartProxy(t, s.listen)
	options, err := json.Marshal(map[string]string{
		"chromium": rtetest.MustLookPath(t, "chromium", "apt-get install chromium"),
		"url":      "http://" + s.proxy.Addr + "/", "server": "http://" + s.listen + "/", "pictures": pictures,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("node_modules/axe-core"); err != nil {
		t.Fatal("the npm modules of test/wallboard are missing: make deps")
	}
	node := rtetest.MustLookPath(t, "node", "apt-get install nodejs")
	s.lines = rtetest.MustStartLines(t, exec.Command(node, "node/boards.mjs", string(options)))
	return s
}

// start starts the server. Each start is another run of the simulator.
func (s *stage) start(flags ...string) {
	s.t.Helper()
	args := append([]string{"dev", "--listen=" + s.listen, "--console.listen=", "--log.level=error"}, flags...)
	s.server = rtetest.MustStartProgram(s.t, exec.Command(programs.MustBuild(s.t), args...))
	s.server.WaitFor("the URLs", func() bool { return strings.Contains(s.server.Log(), "wallboard") })
}

// do runs an action in the browser, and reports its problems.
func (s *stage) do(what string) (got answer) {
	s.t.Helper()
	line := s.lines.Call(what)
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	for _, problem := range got.Problems {
		s.t.Errorf("%s: %s", what, problem)
	}
	return got
}

// age cuts the boards off, and checks after how many milliseconds they show it. A busy machine has several attempts.
func (s *stage) age(limit int, cut, mend func()) answer {
	s.t.Helper()
	for attempt := 0; ; attempt++ {
		cut()
		got := s.do("old")
		switch {
		case got.Took <= limit:
			return got
		case attempt == 4:
			s.t.Errorf("the boards were old after %d ms, want %d at most", got.Took, limit)
			return got
		}
		mend()
		s.do("compare")
	}
}

// TestWallboard_equalsTheSimulator follows the boards through a silent connection, a cut, and a restart of the server.
// Earlier, callbacks that closed during a cut stayed for ever, and waiting times went on for half a minute.
func TestWallboard_equalsTheSimulator(t *testing.T) {
	t.Parallel()
	s := mustStart(t, "")
	s.do("open")
	began := time.Now()
	took := s.do("again").Took
	for attempt := 0; took > 2000 && attempt < 10; attempt++ { // the machine may have other work
		took = s.do("again").Took
	}
	if took > 2000 {
		t.Errorf("a board needed %d ms to show the state", took)
	}
	time.Sleep(time.Minute - time.Since(began))
	first := s.do("compare")
	if first.Calls == 0 {
		t.Error("there was nothing to compare")
	}

	got := s.age(10_000, s.proxy.Blackhole, s.proxy.Open)
	if !strings.Contains(got.Warning, "does not answer") {
		t.Errorf("the boards state %q", got.Warning)
	}
	time.Sleep(5 * time.Second) // calls and callbacks end meanwhile
	s.proxy.Open()
	s.do("compare")

	cut := func() {
		s.proxy.Refuse(true)
		s.proxy.Cut()
	}
	mend := func() { s.proxy.Refuse(false) }
	s.age(3000, cut, mend)
	mend()
	s.do("compare")

	s.server.Stop()
	s.do("old")
	s.start("--seed=2")
	if second := s.do("compare"); second.Run == first.Run || second.Run == "" {
		t.Errorf("runs %q and %q", first.Run, second.Run)
	}
}

// TestWallboard_suitsPeople checks how people use the boards.
func TestWallboard_suitsPeople(t *testing.T) {
	t.Parallel()
	s := mustStart(t, "")
	s.do("open")
	s.do("sort")
	got := s.do("methods")
	if got.Names != 31 || got.Active != 3 || got.List != "feed" {
		t.Errorf("%d events, %d subscriptions, focus %q", got.Names, got.Active, got.List)
	}
	// Two queues, the own user, alerts of another user, and an event that does not exist.
	if diff := cmp.Diff([]bool{true, true, true, false, false}, got.Supervisor); diff != "" {
		t.Errorf("a supervisor: %s", diff)
	}
	if got.Agent[3] || !got.Agent[2] {
		t.Errorf("an agent got %v", got.Agent)
	}
	// The boards are as full as they get.
	if got := s.do("widths"); got.Height < 120 {
		t.Errorf("the figures of the wall are %.0f px high on 1080p", got.Height)
	}
	s.do("axe")
	if text := s.do("empty").Text; !strings.Contains(text, "503") {
		t.Errorf("the empty board states %q", text)
	}
}

// TestWallboard_looks takes the pictures of the documentation, if RTE_WALLBOARD_PICTURES names their folder.
func TestWallboard_looks(t *testing.T) {
	folder := os.Getenv("RTE_WALLBOARD_PICTURES")
	if folder == "" {
		return // make picture
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	s := mustStart(t, folder)
	s.do("open")
	time.Sleep(75 * time.Second) // a busy call centre makes better pictures
	s.do("methods")
	s.do("pictures")
	s.do("empty")
	s.proxy.Refuse(true)
	s.proxy.Cut()
	s.do("old")
	s.do("oldPicture")
}
