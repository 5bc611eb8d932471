package attacks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/events"
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

// The bounds of the full form. Memory may exceed memory.limit by the margin: the limit is one of the Go heap, to which
// the program, the stacks of its threads and what the system has not taken back yet are added.
const (
	memoryLimit  = 256 << 20
	memoryMargin = 64 << 20
	slowest      = 50 * time.Millisecond
	factor       = 3
)

// shortSlowest is the bound of the short form, which runs on busy machines and with the race detector: it finds a
// server that hangs.
const shortSlowest = 10 * time.Second

// attack is one attack.
type attack struct {
	name     string
	settings rtetest.Settings
	redis    []string                      // arguments of Redis
	prepare  func(*stage) rtetest.Settings // what is known only now; nil: nothing
	// run attacks until it is done or the context of the stage ends, and counts what it does.
	run func(*stage)
	// check checks what was counted; nil: nothing.
	check func(*stage)
}

// stage is where an attack takes place.
type stage struct {
	t      *testing.T
	full   bool
	ctx    context.Context // ends when the attack must end
	srv    *rtetest.Server
	redis  *rtetest.Redis
	here   events.ID // the organization of the attacker
	others events.ID // the other organization
	known  sync.Map  // the organization of each entity that the directory knows, by its id

	mu       sync.Mutex
	sent     map[string]int // guarded by mu
	answered map[string]int // guarded by mu
}

// send counts what the attacker sends.
func (s *stage) send(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[what] += n
}

// answer counts what the server answers.
func (s *stage) answer(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered[what] += n
}

// answerTo counts the result of a dial.
func (s *stage) answerTo(err error) {
	var status statusError
	switch {
	case errors.As(err, &status):
		s.answer(status.Error(), 1)
	case err != nil && s.ctx.Err() == nil:
		s.answer("closed", 1)
	}
}

// of returns the count of the full or of the short form.
func (s *stage) of(full, short int) int {
	if s.full {
		return full
	}
	return short
}

// counts formats counts.
func counts(all map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%d × %s", all[name], name))
	}
	return strings.Join(parts, ", ")
}

// row is a row of the table.
type row struct {
	name, sent, answered string
	alone, during        time.Duration
	memory               int64
}

func TestAttacks(t *testing.T) {
	full := os.Getenv("RTE_ATTACKS") == "full"
	var rows []row
	for _, a := range slices.Concat(attacks(), attacksOnTenants(), attacksOnRedis()) {
		t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
			rows = append(rows, mustRun(t, a, full))
		})
	}
	table := format(rows)
	t.Logf("\n%s", table)
	if page := os.Getenv("RTE_ATTACKS_DOC"); page != "" && full && !t.Failed() {
		rtetest.MustReplaceBlock(t, filepath.Join("..", "..", page), "attacks", table)
	}
}

// mustRun measures the healthy clients alone and during an attack.
func mustRun(t *testing.T, a attack, full bool) row {
	t.Helper()
	s := &stage{
		t: t, full: full, here: events.NewID(), others: events.NewID(),
		sent: map[string]int{}, answered: map[string]int{},
	}
	s.redis = rtetest.MustStartRedis(t, a.redis...)
	settings := rtetest.Settings{
		"redis.addresses": s.redis.Addr, "memory.limit": strconv.Itoa(memoryLimit), "log.level": "warn",
		"timeouts.close": "1s",
	}
	maps.Copy(settings, a.settings)
	if a.prepare != nil {
		maps.Copy(settings, a.prepare(s))
	}
	s.srv = rtetest.MustStartServer(t, programs.MustBuild(t), settings)

	alone, limit := 300*time.Millisecond, 6*time.Second
	if full {
		alone, limit = 3*time.Second, 20*time.Second
	}
	var crowds []*crowd
	var ends, stops []func()
	for _, organization := range []events.ID{s.others, s.here} {
		user := events.NewID()
		s.known.Store(user.String(), organization)
		c, end, stop := mustStartCrowd(t.Context(), t, s.srv.Host, s.redis, organization, user)
		crowds, ends, stops = append(crowds, c), append(ends, end), append(stops, stop)
	}
	take := func() (all []time.Duration) {
		for _, c := range crowds {
			all = append(all, c.take()...)
		}
		return all
	}
	var cancel context.CancelFunc
	pause(t.Context(), alone/3) // the first events meet a program that was just started
	take()
	pause(t.Context(), alone)
	result := row{name: a.name, alone: p99(take())}

	peak := s.watchMemory()
	s.ctx, cancel = context.WithTimeout(t.Context(), limit)
	ended := time.After(alone) // a shorter attack would not be measured
	a.run(s)
	<-ended
	during := take()
	cancel()
	result.memory = peak()
	for _, stop := range slices.Concat(ends, stops) {
		stop()
	}
	result.during = p99(append(during, take()...)) // with those that came only after the attack
	result.sent, result.answered = counts(s.sent), counts(s.answered)

	bound := shortSlowest
	if full {
		bound = max(slowest, factor*result.alone)
	}
	if result.during > bound {
		t.Errorf("the p99 of healthy clients was %v alone and %v during the attack, want at most %v",
			result.alone, result.during, bound)
	}
	if !rtetest.RaceEnabled && result.memory > memoryLimit+memoryMargin {
		t.Errorf("the server has %d MiB of memory, with a limit of %d MiB", result.memory>>20, memoryLimit>>20)
	}
	for _, c := range crowds {
		if n := c.missing(); n != 0 || len(c.ended) > 0 || c.failed > 0 || c.published == 0 {
			t.Errorf("of %d published events %d are missing (%d were refused by Redis), connections ended: %v",
				c.published, n, c.failed, c.ended)
		}
	}
	if a.check != nil {
		a.check(s)
	}
	t.Logf("sent %s; answered %s; p99 %v alone, %v during; %d MiB",
		result.sent, result.answered, result.alone, result.during, result.memory>>20)
	return result
}

// watchMemory reads the resident memory of the server until peak is called, which returns the largest value.
func (s *stage) watchMemory() (peak func() int64) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var largest int64
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			largest = max(largest, resident(s.srv.PID()))
			pause(ctx, 20*time.Millisecond)
		}
	})
	return func() int64 {
		cancel()
		watching.Wait()
		return largest
	}
}

// resident returns the resident memory of a process in bytes; 0 where there is no /proc.
func resident(pid int) int64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// format returns the table in Markdown.
func format(rows []row) string {
	var b strings.Builder
	b.WriteString("| attack | sent | answered | p99 alone | p99 during | memory |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %.1f ms | %.1f ms | %d MiB |\n", r.name, r.sent, r.answered,
			float64(r.alone)/1e6, float64(r.during)/1e6, r.memory>>20)
	}
	return b.String()
}

// newHTTPClient returns a client that keeps connections until the attack ends.
func (s *stage) newHTTPClient() (client *http.Client, done func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	return &http.Client{Transport: transport, Timeout: rtetest.Patience}, transport.CloseIdleConnections
}
