package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// startDev runs "make dev" with only Go, make and a shell on the PATH. It returns the URLs of the wallboard and of the
// operator port that the program prints.
func startDev(t *testing.T, flags string) (wallboard, operators string) {
	t.Helper()
	wallboard, operators, _ = startDevAt(t, "127.0.0.1:0", flags)
	return wallboard, operators
}

// startDevAt is startDev with an address for clients; it also returns the program.
func startDevAt(t *testing.T, listen, flags string) (wallboard, operators string, srv *rtetest.Server) {
	t.Helper()
	path := t.TempDir()
	for _, tool := range []string{"make", "bash", "git", "go"} {
		found := rtetest.MustLookPath(t, tool, "apt-get install make bash git, and Go")
		if err := os.Symlink(found, filepath.Join(path, tool)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("make", "dev", "FLAGS=--listen="+listen+" --console.listen=127.0.0.1:0 "+flags)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PATH="+path)
	srv = rtetest.MustStartProgram(t, cmd)
	urls := regexp.MustCompile(`(?s)wallboard +(http://\S+).*operators +(http://\S+)`)
	srv.WaitLong(
		5*time.Minute, "make dev to build the program and print the URLs",
		func() bool { return urls.MatchString(srv.Log()) },
	)
	found := urls.FindStringSubmatch(srv.Log())
	return found[1], found[2], srv
}

// TestDev opens the page of "make dev" in a browser.
func TestDev(t *testing.T) {
	url, _ := startDev(t, "")

	t.Run("shows events of three kinds of entities as they come", func(t *testing.T) {
		chromium := rtetest.MustLookPath(t, "chromium", "apt-get install chromium")
		var got struct {
			Kinds, Events, Problems []string
			State                   string
		}
		output := startScript(t, nodeCommand(t, "browser.mjs", chromium, url)).line()
		if err := json.Unmarshal([]byte(output), &got); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Kinds)
		if diff := cmp.Diff([]string{"CallList", "Queue", "User"}, got.Kinds); diff != "" {
			t.Errorf("kinds (-want +got):\n%s", diff)
		}
		if len(got.Events) < 3 || got.State != "fresh" || len(got.Problems) != 0 {
			t.Errorf("the page showed %+v", got)
		}
	})

	t.Run("answers the client of the README", func(t *testing.T) {
		client := startScript(t, readmeClient(t, url))
		for _, want := range []string{"subscribed: true", "QueueStatus {"} {
			for !strings.Contains(client.line(), want) {
			}
		}
	})

	t.Run("lists the demo organization", func(t *testing.T) {
		var entities []struct{ EntityID, EntityType, Name string }
		get(t, url+"demo/entities", &entities)
		count := map[string]int{}
		for _, entity := range entities {
			count[entity.EntityType]++
			if _, ok := events.ParseID(entity.EntityID); !ok || entity.Name == "" {
				t.Errorf("%+v has no id or no name", entity)
			}
		}
		if count["Queue"] < 3 || count["User"] < 20 || count["CallList"] < 2 {
			t.Errorf("the organization has %v, want at least 3 queues, 20 users and 2 call lists", count)
		}
	})

	t.Run("gives tokens with which to connect", func(t *testing.T) {
		var entities []struct{ EntityID, EntityType string }
		get(t, url+"demo/entities", &entities)
		user := entities[slices.IndexFunc(entities, func(e struct{ EntityID, EntityType string }) bool {
			return e.EntityType == "User"
		})].EntityID
		for _, who := range []string{"me", user} {
			var answer map[string]string
			get(t, url+"token/"+who+"/rte/", &answer)
			if len(answer) != 3 || answer["WssEndpoint"] != "ws://"+answer["WSSEndpoint"] || answer["Token"] == "" {
				t.Errorf("token/%s/rte/ answered %v", who, answer)
			}
			c := connect(t, clientOptions{URL: "http" + answer["WssEndpoint"][len("ws"):], Token: answer["Token"]})
			var results []subscriptionResult
			c.mustInvoke(&results, "Subscribe", subscribeTo(user, "UserStatus"))
			if !results[0].Subscribed {
				t.Errorf("%s may not subscribe to a user: %+v", who, results)
			}
		}
	})
}

// TestDev_readmeClientReconnects restarts the server below the client of the README. An earlier sample kept its first
// token and did not subscribe again, so it stayed silent for ever without an error.
func TestDev_readmeClientReconnects(t *testing.T) {
	listen := rtetest.MustFreeAddr(t)
	url, _, srv := startDevAt(t, listen, "")
	client := startScript(t, readmeClient(t, url))
	receives := func() {
		t.Helper()
		for _, want := range []string{"subscribed: true", "QueueStatus {"} {
			for !strings.Contains(client.line(), want) {
			}
		}
	}
	receives()
	srv.Stop()
	startDevAt(t, listen, "")
	receives()
}

// readmeClient returns the command of the client in README.md, for a development server at another address. It makes
// the folder with the commands of README.md, but takes the modules of these tests in place of npm install.
func readmeClient(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "\n```js\n")
	text, _, found := strings.Cut(rest, "\n```\n")
	if !found {
		t.Fatal("README.md has no client")
	}
	command := regexp.MustCompile(`(?s)` + "`" + `(npm init -y && .*?) &&\s+npm install @microsoft/signalr` + "`")
	prepare := command.FindSubmatch(readme)
	if prepare == nil {
		t.Fatal("README.md has no commands for an empty folder")
	}
	dir := t.TempDir()
	npm := exec.CommandContext(t.Context(), "bash", "-euc", string(prepare[1]))
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", prepare[1], err, out)
	}
	modules, err := filepath.Abs("node_modules")
	if err == nil {
		err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
	}
	if err == nil {
		err = os.WriteFile(
			filepath.Join(dir, "client.js"),
			[]byte(strings.ReplaceAll(text, "http://127.0.0.1:8080", strings.TrimSuffix(url, "/"))), 0o600,
		)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := nodeCommand(t, "client.mjs")
	cmd.Args[1] = filepath.Join(dir, "client.js")
	return cmd
}

// TestDev_fillsTheWallboardAtOnce opens the page of a call centre in which nothing happens any more.
func TestDev_fillsTheWallboardAtOnce(t *testing.T) {
	// At this rate the next event after the first ones comes after minutes.
	url, operators := startDev(t, "--rate=0.001")
	var shown struct{ Agents, Queues, Times []string }
	chromium := rtetest.MustLookPath(t, "chromium", "apt-get install chromium")
	output := startScript(t, nodeCommand(t, "wallboard.mjs", chromium, url)).line()
	if err := json.Unmarshal([]byte(output), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Agents) < 20 || len(shown.Queues) < 3 || len(shown.Times) != len(shown.Agents) ||
		slices.Contains(slices.Concat(shown.Agents, shown.Queues, shown.Times), "") {
		t.Errorf("the page shows %s", output)
	}
	response, err := httpClient.Get(operators + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(metrics), `rte_fanout_events_total{outcome="heard"} 0`+"\n") {
		t.Errorf("the page had events beside snapshots:\n%s", metrics)
	}
}

// get decodes the answer of a URL.
func get(t *testing.T, url string, into any) {
	t.Helper()
	response, err := httpClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}
