package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

var programs rtetest.Programs

func TestMain(m *testing.M) {
	code := m.Run()
	programs.Remove()
	os.Exit(code)
}

const (
	operatorToken = "operator-token-of-this-test"
	readToken     = "reader-token-of-this-test"
)

// scene is a deployment of two nodes with clients.
type scene struct {
	t            *testing.T
	redis        *rtetest.Redis
	nodes        [2]*rtetest.Server
	organization string
	entity       string // to whose events all clients subscribe
	users        []string
}

// newScene starts the nodes and clients. The clients with an even number are on the first node.
func newScene(t *testing.T, clients int, s rtetest.Settings) *scene {
	t.Helper()
	sc := &scene{t: t, redis: rtetest.MustStartRedis(t), organization: newID(), entity: newID()}
	settings := rtetest.Settings{
		"redis.addresses": sc.redis.Addr, "log.level": "info",
		"console.token": operatorToken, "console.read_token": readToken,
	}
	maps.Copy(settings, s)
	for i := range sc.nodes {
		sc.nodes[i] = rtetest.MustStartServer(t, programs.MustBuild(t, "node", bundle), settings)
	}
	for i := range clients {
		sc.users = append(sc.users, newID())
		sc.connect(sc.nodes[i%2], sc.users[i])
	}
	sc.waitFor("the nodes to know each other, and all clients to subscribe", func() bool {
		var list struct {
			Nodes       struct{ Answered []string }
			Connections []struct{ Subscriptions int }
		}
		sc.get("/api/connections?nodes=all", &list)
		ready := 0
		for _, c := range list.Connections {
			if c.Subscriptions > 0 {
				ready++
			}
		}
		return len(list.Nodes.Answered) == 2 && ready == clients
	})
	return sc
}

func newID() string { return events.NewID().String() }

// connect starts a client of a user and returns its process. The process prints its events.
func (sc *scene) connect(node *rtetest.Server, user string) *os.Process {
	sc.t.Helper()
	token := rtetest.MustToken(sc.t, authz.Claims{
		User: rtetest.MustID(sc.t, user), Organization: rtetest.MustID(sc.t, sc.organization), Role: authz.RoleSupervisor,
	})
	cmd := exec.CommandContext(sc.t.Context(), programs.MustBuild(sc.t), "tap", "--url", node.HubURL, sc.entity)
	cmd.Env = append(rtetest.Unconfigured(os.Environ()), "TOKEN="+token)
	if err := cmd.Start(); err != nil {
		sc.t.Fatal(err)
	}
	sc.t.Cleanup(func() { _ = cmd.Wait() }) // the end of the context has killed it
	return cmd.Process
}

// get reads a JSON document of the first node.
func (sc *scene) get(path string, into any) {
	sc.t.Helper()
	ctx, cancel := context.WithTimeout(sc.t.Context(), rtetest.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, sc.nodes[0].ConsoleURL+path, http.NoBody)
	if err != nil {
		sc.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+operatorToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		sc.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		sc.t.Fatalf("GET %s: %s, %v", path, response.Status, err)
	}
}

// waitFor polls until condition holds.
func (sc *scene) waitFor(what string, condition func() bool) {
	sc.t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			sc.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// play runs a script of node/ to its end, and fails if it fails. Each line of its output names an action of the test.
// The script then waits for a line.
func (sc *scene) play(t *testing.T, script string, more map[string]any, meanwhile map[string]func()) {
	t.Helper()
	options := map[string]any{
		"chromium": rtetest.MustLookPath(t, "chromium", "apt-get install chromium"),
		"nodes": []map[string]string{
			{"url": sc.nodes[0].ConsoleURL}, {"url": sc.nodes[1].ConsoleURL},
		},
		"operator": operatorToken, "reader": readToken,
		"organization": sc.organization, "entity": sc.entity, "users": sc.users,
	}
	maps.Copy(options, more)
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("node_modules/.package-lock.json"); err != nil {
		t.Fatal("the npm modules of test/console are missing: make deps")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*rtetest.Patience)
	defer cancel()
	node := rtetest.MustLookPath(t, "node", "apt-get install nodejs")
	cmd := exec.CommandContext(ctx, node, "node/"+script, string(text))
	var problems strings.Builder
	cmd.Stderr = &problems
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		do, known := meanwhile[lines.Text()]
		if !known {
			t.Log(lines.Text())
			continue
		}
		do()
		_, _ = io.WriteString(stdin, "done\n") // a failed script reads no more
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", script, err, problems.String())
	}
}

// TestConsole uses the console like an operator.
func TestConsole(t *testing.T) {
	sc := newScene(t, 6, nil)
	// Not JSON: nodes refuse it, and keep it for operators.
	if err := sc.redis.Client().Publish(t.Context(), "rte:org:"+sc.organization,
		fmt.Sprintf(`{"OrganizationId":%q,"EventType":"UserStatus","EntityId":`, sc.organization)).Err(); err != nil {
		t.Fatal(err)
	}
	t.Run("an operator watches, finds out and acts", func(t *testing.T) { sc.play(t, "operator.mjs", nil, nil) })
	t.Run("a reader cannot act", func(t *testing.T) { sc.play(t, "reader.mjs", nil, nil) })
	t.Run("everybody can read it", func(t *testing.T) { sc.play(t, "accessible.mjs", nil, nil) })
	t.Run("a keyboard is enough", func(t *testing.T) { sc.play(t, "keyboard.mjs", nil, nil) })
	t.Run("a restart of the node", func(t *testing.T) {
		sc.play(t, "restart.mjs", nil, map[string]func(){
			"stop": sc.nodes[0].Stop, "start": sc.nodes[0].Start, "stop Redis": sc.redis.Kill, "start Redis": sc.redis.Start,
		})
	})
}
