//go:build faults

package audit

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
	"github.com/rte-server/rte-server/test/audit/trend"
)

const (
	// faultEach is the time between the beginnings of two faults. A fault that takes longer delays the next one.
	faultEach = 20 * time.Second
	// windowFaults is the number of faults after which the auditor decides and begins a new history.
	windowFaults = 6
	// warmUp is how long samples of a process do not count: journals, caches and lists of keys have what they hold for
	// ten minutes.
	warmUp = 10 * time.Minute
	// leastSamples is the least number of samples of a process that a slope is computed from.
	leastSamples = 30
)

// figure is a figure of a process that must not grow.
type figure struct {
	name, metric string
	scale        float64 // of the figure, to that of the metric
	limit        float64 // of the slope, for each fault
}

// figures are those of each sample. One of the 20 kinds of faults that leaves a goroutine or a descriptor each time
// makes a slope of 0.05. Memory in use is what is reachable: each sample collects garbage first.
func figures() []figure {
	return []figure{
		{"goroutines", "go_goroutines", 1, 0.02},
		{"descriptors", "process_open_fds", 1, 0.02},
		{"memory in use, KB", "go_memstats_heap_alloc_bytes", 1e-3, 0.5},
		{"resident memory, KB", "process_resident_memory_bytes", 1e-3, 100},
	}
}

// loads are the metrics that figures depend on.
func loads() []string { return []string{"rte_hub_sessions_open", "rte_hub_subscriptions_active"} }

// life is a process of a node.
type life struct {
	node, pid int
	samples   [][]trend.Sample // by figure
}

// soak is an audit in windows.
type soak struct {
	*deployment
	border time.Duration  // the beginning of the window
	rows   history.Report // with a row for each kind of fault
	lives  []*life
	chance *rand.Rand
	round  []fault // those that come before one comes again
	count  int     // of faults
}

// A fault comes each 20 s for RTE_SOAK_SPAN, in an order by RTE_SOAK_SEED. Each kind comes before one comes again.
// After each few faults the auditor decides, and forgets what it decided about before. Memory, goroutines and
// descriptors of the nodes must stay level: the slope of each over the life of a process must not lie above its limit.
// RTE_SOAK_DOC names a page that gets the tables.
func TestSoak(t *testing.T) {
	span, seed := soakOptions(t)
	t.Logf("RTE_SOAK_SEED=%d", seed)
	s := &soak{chance: rand.New(rand.NewPCG(seed, 0))}
	s.deployment = newDeployment(t, func(d *deployment) rtetest.Settings {
		d.simulation = newSimulation(t, d, seed)
		settings := d.prepareRedis()
		settings["trace.bytes"] = "256KiB" // full within minutes, with the list of sessions that have ended
		return settings
	})
	s.spared = s.nodes[0]
	s.fillRefusals()
	began := time.Now()
	s.simulation.start(t)
	s.publishAll()
	s.waitWhole("the start")
	defer s.keepUndecided()
	for time.Since(began) < span {
		if whole := s.provoke(); !whole || s.count%windowFaults == 0 {
			s.decide(whole)
			s.rec.phase("nothing goes wrong", false)
			s.publishAll()
		}
	}
	s.decide(true)
	for i := range s.rows.Rows {
		if row := &s.rows.Rows[i]; row.Delivered == 0 {
			t.Errorf("%s: nothing was delivered", row.Phase)
		}
	}
	text := fmt.Sprintf("%d faults in %s, seed %d.\n\n%s\n%s", s.count, time.Since(began).Round(time.Second), seed,
		s.rows.Table("fault"), s.slopes())
	t.Logf("\n%s", text)
	if page := os.Getenv("RTE_SOAK_DOC"); page != "" && !t.Failed() {
		rtetest.MustReplaceBlock(t, filepath.Join("..", "..", page), "audit-soak", text)
	}
}

// soakOptions returns how long the soak lasts, and the seed of its faults.
func soakOptions(t *testing.T) (span time.Duration, seed uint64) {
	t.Helper()
	span, err := time.ParseDuration(cmp.Or(os.Getenv("RTE_SOAK_SPAN"), "1h"))
	if err != nil {
		t.Fatal(err)
	}
	seed = rand.Uint64N(1e6)
	if text := os.Getenv("RTE_SOAK_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return span, seed
}

// fillRefusals makes the node that is spared keep as many refusals as it ever does. Otherwise they would make its
// memory grow for hours.
func (s *soak) fillRefusals() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), rtetest.Patience)
	defer cancel()
	token, _ := s.members[0].token()
	ws, _, err := websocket.Dial(ctx, s.spared.HubURL+"?features=notices&access_token="+token,
		&websocket.DialOptions{HTTPClient: newWireHTTP()})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	client := socket{ws: ws}
	refused := call{"Subscribe", append(s.topics(1), s.topics(2)...)}
	messages := []map[string]any{{"protocol": "json", "version": 1}}
	for range 600 { // a node keeps 500
		messages = append(messages, map[string]any{
			"type": 1, "invocationId": "1", "target": refused.target, "arguments": refused.arguments(),
		})
	}
	for _, message := range messages {
		if err := client.send(ctx, message); err != nil {
			s.t.Fatal(err)
		}
		// Each has one answer; a ping of the server takes the place of one at most.
		if _, _, err := ws.Read(ctx); err != nil {
			s.t.Fatal(err)
		}
	}
	s.spared.WaitFor("a full list of refusals", func() bool {
		return s.spared.Metric("rte_hub_refusals_kept") == s.spared.Metric("rte_hub_refusals_limit")
	})
}

// publishAll lets all publishers publish.
func (s *soak) publishAll() {
	s.publish.start(s.streams)
	s.simulation.resume()
}

// nextFault returns a fault of the audit that ends in time.
func (s *soak) nextFault() fault {
	if len(s.round) == 0 {
		s.round = append(slices.DeleteFunc(faults(), func(f fault) bool { return f.slow }),
			fault{name: "a token expires", do: awaitExpiry(0)})
		s.chance.Shuffle(len(s.round), func(i, j int) { s.round[i], s.round[j] = s.round[j], s.round[i] })
	}
	next := s.round[0]
	s.round = s.round[1:]
	return next
}

// provoke provokes the next fault, and takes a sample just before the following one. It reports whether all events have
// reached their clients, or lie in an interval of a notice.
func (s *soak) provoke() (whole bool) {
	s.t.Helper()
	f, began := s.nextFault(), time.Now()
	s.count++
	s.rec.phase(f.name, false)
	f.do(s.deployment)
	lasts(time.Second)
	whole = s.waitWhole(f.name)
	took := time.Since(began)
	if whole {
		lasts(faultEach - took)
	}
	s.t.Logf("%s, %d: %s, whole %t after %.1f s; %s",
		began.Format(time.TimeOnly), s.count, f.name, whole, took.Seconds(), s.sample())
	return whole
}

// sample takes a sample of each node, and returns the figures for people.
func (s *soak) sample() string {
	s.t.Helper()
	var text []string
	for i, n := range s.nodes {
		at := s.rec.now()
		collectGarbage(s.t, n)
		metrics := n.Metrics()
		l := s.lifeOf(i, n.PID())
		var values, has []float64
		for _, metric := range loads() {
			has = append(has, rtetest.MustSumMetric(s.t, metrics, metric))
		}
		for j, f := range figures() {
			value := rtetest.MustSumMetric(s.t, metrics, f.metric) * f.scale
			if value == 0 {
				s.t.Fatalf("a node has no metric %s", f.metric)
			}
			values = append(values, math.Round(value))
			l.samples[j] = append(l.samples[j], trend.Sample{At: at, Loads: has, Value: value})
		}
		text = append(text, fmt.Sprintf("node %d %v %v", i+1, has, values))
	}
	return strings.Join(text, ", ")
}

// lifeOf returns the life of a process of a node.
func (s *soak) lifeOf(node, pid int) *life {
	for _, l := range s.lives {
		if l.node == node && l.pid == pid {
			return l
		}
	}
	l := &life{node: node, pid: pid, samples: make([][]trend.Sample, len(figures()))}
	s.lives = append(s.lives, l)
	return l
}

// collectGarbage makes a node collect its garbage.
func collectGarbage(t *testing.T, n *rtetest.Server) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: rtetest.Patience}
	response, err := client.Get(n.ConsoleURL + "/debug/pprof/heap?gc=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("heap profile: %s, %v", response.Status, err)
	}
}

// decide decides about the window, when all its events have reached their clients, and begins the next one. Events of
// the last window stay, so that those that come late or twice are known.
func (s *soak) decide(whole bool) {
	s.t.Helper()
	s.publish.stop()
	s.simulation.pause()
	if whole {
		s.waitWhole("the end of a window")
	}
	s.readStates()
	h := s.rec.history(s.rec.now())
	report := history.Check(h)
	problems := s.addRows(h, report)
	if len(report.Findings) > 0 {
		problems = append(problems, "the server broke its promise:\n"+report.Explain())
	}
	last := s.border
	s.border = s.rec.now()
	if len(problems) > 0 {
		s.t.Errorf("%s\nthe history is in %s", strings.Join(problems, "\n"), s.keep(h))
		last = s.border // otherwise the next window would have the same findings
	}
	s.rec.forget(last)
}

// addRows adds the rows of the window to those of all windows, and returns what is wrong with them.
func (s *soak) addRows(h *history.History, report *history.Report) (problems []string) {
	for i := range report.Rows {
		row := &report.Rows[i]
		if h.Phases[i].From < s.border {
			continue
		}
		if n := row.Unrepaired(); n > 0 {
			problems = append(problems, fmt.Sprintf("%s: %d deliveries of events with a journal did not come, although the "+
				"connection stayed", row.Phase, n))
		}
		if j := slices.IndexFunc(s.rows.Rows, func(r history.Row) bool { return r.Phase == row.Phase }); j < 0 {
			s.rows.Rows = append(s.rows.Rows, *row)
		} else {
			both := history.Report{Rows: []history.Row{s.rows.Rows[j], *row}}
			s.rows.Rows[j] = *both.Sum(row.Phase)
		}
	}
	return problems
}

// keepUndecided keeps the history of the window if the test has failed in its midst.
func (s *soak) keepUndecided() {
	if s.t.Failed() && s.rec.now()-s.border > time.Second {
		s.t.Logf("the history of the last window is in %s", s.keep(s.rec.history(s.rec.now())))
	}
}

// slopes returns a table of all figures of the processes that lived long enough, and fails the test if one grows.
func (s *soak) slopes() string {
	s.t.Helper()
	var text strings.Builder
	text.WriteString("| process | samples | figure | mean | slope for each fault | standard error | limit |\n" +
		strings.Repeat("|---", 7) + "|\n")
	short, decided := 0, 0
	for _, l := range s.lives {
		began := l.samples[0][0].At
		name := fmt.Sprintf("node %d, from %s on", l.node+1, began.Round(time.Second))
		for j, f := range figures() {
			samples := slices.DeleteFunc(slices.Clone(l.samples[j]), func(sample trend.Sample) bool {
				return sample.At < began+warmUp
			})
			if len(samples) < leastSamples {
				short++
				break
			}
			decided++
			line := trend.Of(samples, faultEach)
			fmt.Fprintf(&text, "| %s | %d | %s | %.0f | %.3f | %.3f | %g |\n",
				name, len(samples), f.name, line.Mean, line.Slope, line.Error, f.limit)
			if line.Exceeds(f.limit) {
				s.t.Errorf("%s: %s grows by %.3f for each fault (standard error %.3f), limit %g",
					name, f.name, line.Slope, line.Error, f.limit)
			}
		}
	}
	if all := s.rec.now(); decided == 0 && all > 2*warmUp+leastSamples*faultEach {
		s.t.Errorf("no process lived long enough in %s, although one must not end", all)
	}
	fmt.Fprintf(&text, "\n%d further processes ended, or had fewer than %d samples behind their first %s.\n",
		short, leastSamples, warmUp)
	return text.String()
}
