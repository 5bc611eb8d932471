package dotnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// pair are the two servers that are compared, and a token that both accept.
type pair struct {
	server, reference string // host and port
	token             string
}

// mustStartPair starts a node and the hub on ASP.NET Core. It returns nil where there is no dotnet.
func mustStartPair(t *testing.T) *pair {
	t.Helper()
	dotnet := mustFindDotnet(t, "Reference")
	if dotnet == "" {
		return nil
	}
	path := programs.MustBuild(t, "reference")
	node := rtetest.MustStartServer(t, path, rtetest.Settings{
		"log.level": "error", "timeouts.hold": "1ms", "limits.frame_rate": "0", // one user sends all that is malformed
	})
	lines := rtetest.MustStartLines(t, exec.Command(
		dotnet, repository+"/build/dotnet/Reference/bin/Release/net10.0/Reference.dll",
		rtetest.Secret, rtetest.Issuer, rtetest.Audience, "--urls", "http://127.0.0.1:0",
	))
	return &pair{
		server: node.Host, reference: strings.TrimPrefix(lines.Next(), "http://"),
		token: rtetest.MustToken(t, authz.Claims{User: rtetest.MustID(t, entityID), Role: authz.RoleAgent}),
	}
}

// environment returns a number from the environment.
func environment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestDifferential sends the same generated messages to rte-server and to ASP.NET Core and compares the answers. Where
// they differ, package meant has to say why. RTE_DIFFERENTIAL_COUNT makes more of them, RTE_DIFFERENTIAL_SEED others.
func TestDifferential(t *testing.T) {
	p := mustStartPair(t)
	if p == nil {
		return
	}
	count := environment(t, "RTE_DIFFERENTIAL_COUNT", 1000)
	seed := environment(t, "RTE_DIFFERENTIAL_SEED", 1)
	source := func() *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 22)) }
	t.Run("handshakes", func(t *testing.T) { p.compare(t, handshakes()) })
	t.Run("json", func(t *testing.T) {
		g := jsonGenerator{source()}
		p.compare(t, generate(count, g.next))
	})
	t.Run("messagepack", func(t *testing.T) {
		g := packGenerator{source()}
		p.compare(t, generate(count, g.next))
	})
	t.Run("requests", func(t *testing.T) { p.compareRequests(t) })
}

// generate makes a number of conversations, none of them twice.
func generate(count int, next func() *conversation) (all []*conversation) {
	seen := map[string]bool{}
	for len(all) < count {
		if c := next(); !seen[string(c.message)] {
			seen[string(c.message)] = true
			all = append(all, c)
		}
	}
	return all
}

// tally counts what was compared.
type tally struct {
	mu    sync.Mutex
	alike int
	meant map[string]int
	other []string
}

func (y *tally) add(what string, ours, theirs outcome, reason string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case slices.Equal(ours, theirs):
		y.alike++
	case reason != "":
		y.meant[reason]++
	default:
		y.other = append(y.other, fmt.Sprintf("%s\n  rte-server:   %s\n  ASP.NET Core: %s", what, ours, theirs))
	}
}

// report prints the tally, and fails the test if something differs that is not meant to.
func (y *tally) report(t *testing.T) {
	t.Helper()
	meant := 0
	var reasons []string
	for reason, n := range y.meant {
		meant += n
		reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(reasons)
	line := fmt.Sprintf(
		"%d alike, %d meant to differ (%s), %d other", y.alike, meant, strings.Join(reasons, ", "), len(y.other),
	)
	t.Log(line)
	rtetest.Report(t, strings.ReplaceAll(t.Name(), "/", "-"), line)
	slices.Sort(y.other)
	for i, difference := range y.other {
		if i == 60 {
			t.Errorf("and %d more", len(y.other)-i)
			break
		}
		t.Errorf("%s", difference)
	}
}

// exchange has a conversation with both servers: again where one was silent and that explains the difference.
func (p *pair) exchange(ctx context.Context, c *conversation) (ours, theirs outcome, err error) {
	for patience := answerLimit; ; patience *= 10 {
		if ours, err = c.play(ctx, "ws://"+p.server+"/rte", p.token, patience); err != nil {
			return nil, nil, fmt.Errorf("rte-server: %w", err)
		}
		if theirs, err = c.play(ctx, "ws://"+p.reference+"/rte", p.token, patience); err != nil {
			return nil, nil, fmt.Errorf("ASP.NET Core: %w", err)
		}
		silent := slices.Contains(slices.Concat(ours, theirs), "silent")
		if !silent || patience > answerLimit || slices.Equal(ours, theirs) || reasonOf(c, ours, theirs) != "" {
			return ours, theirs, nil
		}
	}
}

// compare has each conversation with both servers.
func (p *pair) compare(t *testing.T, all []*conversation) {
	t.Helper()
	y := &tally{meant: map[string]int{}}
	next := make(chan *conversation)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for c := range next {
				ours, theirs, err := p.exchange(t.Context(), c)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					continue
				}
				what := fmt.Sprintf("%s: %q", c.name, string(c.handshake)+string(c.message))
				if c.binary {
					what = fmt.Sprintf("%s: %x", c.name, c.message)
				}
				y.add(what, ours, theirs, reasonOf(c, ours, theirs))
			}
		})
	}
	for _, c := range all {
		next <- c
	}
	close(next)
	workers.Wait()
	y.report(t)
}
