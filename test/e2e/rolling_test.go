package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// rollingSize is the size of TestRollingRestart. RTE_ROLLING=3000 is the full one; without it the test is small.
type rollingSize struct {
	raw, stock, entities int
	delay, drain, window time.Duration
	freeze, longest      time.Duration // longest is how long a client may be out without a frozen Redis
}

func rolling(t *testing.T) rollingSize {
	t.Helper()
	text := os.Getenv("RTE_ROLLING")
	if text == "" {
		return rollingSize{
			raw: 60, stock: 12, entities: 5, delay: time.Second, drain: 4 * time.Second, window: 2 * time.Second,
			freeze: 5 * time.Second, longest: 20 * time.Second,
		}
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("RTE_ROLLING must be a number of clients")
	}
	return rollingSize{
		raw: number - number/10, stock: number / 10, entities: 20, delay: 3 * time.Second, drain: time.Minute,
		window: time.Second, freeze: 28 * time.Second, longest: 5 * time.Second,
	}
}

// TestRollingRestart restarts three nodes behind HAProxy one by one, with clients of three organizations, some of them
// Microsoft's. In the second drain Redis is frozen: of 299 clients 97 had no subscriptions afterwards, and nothing let
// them know.
func TestRollingRestart(t *testing.T) {
	size := rolling(t)
	redis := rtetest.MustStartRedis(t)
	nodes := make([]*rtetest.Server, 3)
	for i := range nodes {
		nodes[i] = startServer(t, rtetest.Settings{
			"redis.addresses": redis.Addr, "log.level": "info", "log.audit_rate": "0",
			"shutdown.delay": size.delay.String(), "shutdown.drain": size.drain.String(), "shutdown.wait": "60s",
			"shutdown.timeout": "150s", "resync.close_window": (size.drain / 2).String(),
		})
	}
	balancer := rtetest.MustStartHAProxy(t, "leastconn", nodes...)
	stock := startStockSwarm(t, balancer.HubURL, size.stock, size.entities)
	raw := startSwarm(t, balancer.HubURL, size.raw, size.entities)
	t.Logf("%d and %d clients are connected", size.raw, size.stock)

	restart := func(i int, during func()) {
		t.Helper()
		stopped := nodes[i].StopLater(size.delay + size.drain + 4*rtetest.Patience)
		during()
		stopped()
		nodes[i].Start()
		balancer.WaitFor(len(nodes))
	}
	for i := range nodes {
		if i == 0 && os.Getenv("RTE_ROLLING") == "" {
			continue // it shows nothing that node 2 does not
		}
		raw.take()
		what := fmt.Sprint("restart of node ", i)
		if i == 1 {
			restart(i, func() {
				nodes[i].WaitLong(size.delay+size.drain+rtetest.Patience, "the drain to begin", func() bool {
					return nodes[i].Metric("rte_hub_sessions_closed_total", `reason="drain"`) > 0
				})
				redis.Freeze()
				time.Sleep(size.freeze) // the outage itself, not a wait for something
				redis.Thaw()
			})
			if !nodes[i].Logs("connections are not closed for now") {
				t.Error("the drain did not pause while Redis was frozen")
			}
			for _, n := range nodes { // their clients reconnect, too
				n.WaitLong(4*rtetest.Patience, "all clients to be notified of lost events", func() bool {
					return n.Metric("rte_hub_resync_waiting") == 0
				})
			}
		} else {
			restart(i, func() {})
			outages := raw.take()
			checkEven(t, what, outages, size.drain, size.window)
			longest := time.Duration(0)
			for _, o := range outages {
				longest = max(longest, o.to.Sub(o.from))
			}
			if t.Logf("%s: no client was out for more than %s", what, longest); longest > size.longest {
				t.Errorf("%s: a client was out for %s", what, longest)
			}
		}
		awaitWhole(t, what, raw, stock)
	}
	if raw.gaveUp > 0 || stock.gaveUp > 0 {
		t.Errorf("%d and %d clients gave up", raw.gaveUp, stock.gaveUp)
	}
	t.Logf("stock clients were out for %s at most, with Redis frozen", stock.longest)
}

// awaitWhole waits until all clients are connected, and checks that none lacks a subscription.
func awaitWhole(t *testing.T, when string, raw *swarm, stock *stockSwarm) {
	t.Helper()
	deadline := time.Now().Add(4 * rtetest.Patience)
	for {
		connected, missing := raw.compare()
		others, lacking := stock.compare()
		if connected == len(raw.clients) && others == stock.number && missing+lacking == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d of %d and %d of %d clients are connected, %d and %d of them without their subscriptions",
				when, connected, len(raw.clients), others, stock.number, missing, lacking)
		}
	}
}

// stockSwarm are many of Microsoft's clients in one process. Call its methods from the goroutine of the test.
type stockSwarm struct {
	t       *testing.T
	number  int
	script  *script
	stdin   io.WriteCloser
	down    map[int]int64 // client: since when, in milliseconds
	longest time.Duration // that a client was out
	gaveUp  int
}

// swarmLine is a line of node/swarm.mjs.
type swarmLine struct {
	Event     string `json:"event"`
	Client    int    `json:"client"`
	At        int64  `json:"at"`
	Connected int    `json:"connected"`
	Missing   int    `json:"missing"`
}

func startStockSwarm(t *testing.T, url string, number, entities int) *stockSwarm {
	t.Helper()
	organization := events.NewID()
	options := struct {
		URL    string               `json:"url"`
		Tokens []string             `json:"tokens"`
		Items  []entitySubscription `json:"items"`
	}{URL: url, Items: subscribeItems(entities)}
	for range number {
		options.Tokens = append(options.Tokens, rtetest.MustToken(t, authz.Claims{
			Organization: organization, Role: authz.RoleSupervisor,
		}))
	}
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/options.json" // 300 tokens are too long for an argument
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := nodeCommand(t, "swarm.mjs", path)
	s := &stockSwarm{t: t, number: number, down: map[int]int64{}}
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	s.script = startScriptFor(t, cmd, 30*time.Minute)
	t.Cleanup(func() { _ = s.stdin.Close() }) // the script ends with its input
	s.until("connected")
	return s
}

// until reads lines up to an event.
func (s *stockSwarm) until(event string) swarmLine {
	s.t.Helper()
	for {
		var l swarmLine
		if err := json.Unmarshal([]byte(s.script.line()), &l); err != nil {
			s.t.Fatal(err)
		}
		switch l.Event {
		case event:
			return l
		case "closed":
			s.gaveUp++
		case "down":
			s.down[l.Client] = l.At
		case "up":
			s.longest = max(s.longest, time.Duration(l.At-s.down[l.Client])*time.Millisecond)
		}
	}
}

// compare is the method of swarm.
func (s *stockSwarm) compare() (connected, missing int) {
	s.t.Helper()
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		s.t.Fatal(err)
	}
	l := s.until("compared")
	return l.Connected, l.Missing
}
