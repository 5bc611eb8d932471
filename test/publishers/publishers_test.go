package publishers_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// The ids in the examples, and the password of the users.
const (
	organization = "29f6e823-b484-e611-80c9-00505689257e"
	user         = "aa9730c4-ce86-e611-80c9-00505689257e"
	lane         = "rte:org:" + organization
	password     = "change-me"
)

// mustBlock returns the first block of code in a language in docs/redis.md.
func mustBlock(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "\n```"+language+"\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/redis.md has no block of %s", language)
	}
	return block + "\n"
}

// mustRedis starts a Redis with the users of docs/redis.md.
func mustRedis(t *testing.T) *rtetest.Redis {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, []byte(mustBlock(t, "acl")), 0o600); err != nil {
		t.Fatal(err)
	}
	return rtetest.MustStartRedis(t, "--aclfile", path)
}

// mustNode runs a node as a Redis user until the end of the test, and waits until it is connected and subscribed to the
// user of the examples.
func mustNode(t *testing.T, server *rtetest.Redis, as string) (*redis.Backplane, *backplanetest.Recorder) {
	t.Helper()
	sink := backplanetest.NewRecorder()
	node, err := redis.New(redis.Options{
		Options:   backplane.Options{Catalog: events.Builtin(), Sink: sink},
		Addresses: []string{server.Addr}, Username: as, Password: password,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	await(t, "the node to be connected", func() bool { return node.Health().Connected })
	backplanetest.MustAcquire(t, node, topic(t))
	return node, sink
}

// topic is the topic of the examples.
func topic(t *testing.T) events.Topic {
	t.Helper()
	org, ok := events.ParseID(organization)
	entity, ok2 := events.ParseID(user)
	if !ok || !ok2 {
		t.Fatal("no GUIDs")
	}
	return events.Topic{Organization: org, Entity: entity, Type: events.UserStatus}
}

// await waits until a condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(rtetest.Patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// mustFile writes a file of a test.
func mustFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustDependency returns the path of a file that scripts/install-test-deps.sh installs.
func mustDependency(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; scripts/install-test-deps.sh installs it", err)
	}
	return path
}

func TestExamples(t *testing.T) {
	server := mustRedis(t)
	_, sink := mustNode(t, server, "node")
	client := server.Client()
	defer client.Close()
	await(t, "the functions to be loaded", func() bool {
		return client.FCallRO(t.Context(), "rte_version", nil).Err() == nil
	})
	published := 0
	for name, command := range map[string]func(t *testing.T) *exec.Cmd{
		"redis-cli": func(t *testing.T) *exec.Cmd {
			rtetest.MustLookPath(t, "redis-cli", "apt-get install redis-tools")
			return exec.CommandContext(t.Context(), "bash", "-eu", mustFile(t, "example.sh", mustBlock(t, "sh")))
		},
		"Go": func(t *testing.T) *exec.Cmd {
			return exec.CommandContext(t.Context(), "go", "run", mustFile(t, "example.go", mustBlock(t, "go")))
		},
		"Python": func(t *testing.T) *exec.Cmd {
			python := mustDependency(t, "build/publishers/bin/python")
			return exec.CommandContext(t.Context(), python, mustFile(t, "example.py", mustBlock(t, "python")))
		},
		"TypeScript": func(t *testing.T) *exec.Cmd {
			// The example declares no types, so it is also JavaScript.
			path := mustFile(t, "example.mjs", mustBlock(t, "ts"))
			modules := mustDependency(t, "test/publishers/node_modules")
			if err := os.Symlink(modules, filepath.Join(filepath.Dir(path), "node_modules")); err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(t.Context(), "node", path)
		},
		"Java": func(t *testing.T) *exec.Cmd {
			java := rtetest.MustLookPath(t, "java", "apt-get install openjdk-17-jdk-headless")
			libraries := filepath.Join(mustDependency(t, "build/jedis"), "*")
			return exec.CommandContext(t.Context(), java, "-cp", libraries, mustFile(t, "Publisher.java", mustBlock(t, "java")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t)
			cmd.Env = append(os.Environ(), "REDIS_URL=redis://publisher:"+password+"@"+server.Addr)
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "ERR") || strings.Contains(string(out), "NOPERM") {
				t.Fatalf("%v\n%s", err, out)
			}
			published += 3
			all := sink.Wait(t, published)
			ids := map[events.ID]bool{}
			for _, ev := range all {
				ids[ev.ID] = true
			}
			if len(ids) != len(all) {
				t.Errorf("%d events have %d ids", len(all), len(ids))
			}
			for _, a := range all[published-3:] {
				mustValidate(t, a.Data)
			}
			journal := "rte:j:{" + lane + "}"
			if n, err := client.XLen(t.Context(), journal).Result(); err != nil || int(n) != published/3*2 {
				t.Errorf("the journal has %d entries, %v", n, err)
			}
			if ttl := client.TTL(t.Context(), journal).Val(); ttl <= 0 || ttl > 10*time.Minute {
				t.Errorf("the journal stays for %s", ttl)
			}
			state := "rte:s:{" + lane + "}:User:" + user + ":UserStatus"
			if text := client.GetDel(t.Context(), state).Val(); !strings.HasPrefix(text, "#") {
				t.Errorf("the last state is %q", text)
			}
		})
	}
}

// mustValidate fails the test if a node would quarantine an event. The events of all examples lacked properties and had
// one that does not exist.
func mustValidate(t *testing.T, data string) {
	t.Helper()
	catalog := events.Builtin()
	ev, err := catalog.Decode([]byte(data))
	if err == nil {
		_, err = catalog.AppendJSON(nil, &ev)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if deviations := catalog.Check(&ev); len(deviations) > 0 {
		t.Errorf("%v: %s", deviations, data)
	}
	known := properties(catalog)
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(data), &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if _, ok := known[name]; !ok {
			t.Errorf("a UserStatus has no property %s", name)
		}
	}
}

// properties returns the properties of a UserStatus by their names.
func properties(catalog *events.Catalog) map[string]events.Property {
	all := map[string]events.Property{}
	for _, p := range slices.Concat(catalog.Envelope(), catalog.Definition(events.UserStatus).Properties) {
		all[p.Name] = p
	}
	return all
}

// TestExamples_haveAllProperties also covers the example in C#, which TestExamples does not run.
func TestExamples_haveAllProperties(t *testing.T) {
	for _, language := range []string{"sh", "go", "python", "ts", "csharp", "java"} {
		block := mustBlock(t, language)
		for name, p := range properties(events.Builtin()) {
			if p.Required() && !regexp.MustCompile(`\b`+name+`\b`).MatchString(block) {
				t.Errorf("the example in %s lacks %s", language, name)
			}
		}
	}
}

// The users of the documentation for Redis 6.2, which refuses to start with commands that it does not know.
func TestUsers_olderRedis(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.acl"), []byte(mustBlock(t, "acl")), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "\n    sed -E ")
	arguments, _, _ := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("docs/redis.md has no sed")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sed -E "+arguments)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, newer := range []string{"spublish", "ssubscribe", "sunsubscribe", "fcall", "function", "%R"} {
		if strings.Contains(string(out), newer) {
			t.Errorf("Redis 6.2 does not know %s", newer)
		}
	}
	path := filepath.Join(dir, "older.acl")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	rtetest.MustStartRedis(t, "--aclfile", path)
}

// TestUsers checks the rights of the users, and that they have no other rights.
func TestUsers(t *testing.T) {
	server := mustRedis(t)
	node, sink := mustNode(t, server, "node")
	receiving, alsoSink := mustNode(t, server, "node-receiving")

	ev := backplanetest.NewEvent(topic(t), 1)
	backplanetest.MustPublish(t, node, ev)
	sink.Wait(t, 1)
	alsoSink.Wait(t, 1)
	if err := receiving.Publish(t.Context(), ev.JSON()); !errors.Is(err, backplane.ErrRefused) {
		t.Errorf("a node that may not publish: %v", err)
	}
	if _, _, err := node.Begin(t.Context(), "key", time.Minute); err != nil {
		t.Errorf("a receipt begins: %v", err)
	}
	if err := node.End(t.Context(), "key", "text", true, time.Minute); err != nil {
		t.Errorf("a receipt ends: %v", err)
	}

	const other = "rte:org:00000000-0000-0000-0000-000000000001"
	for _, test := range []struct {
		user    string
		allowed bool
		command string
	}{
		{"publisher", true, "PUBLISH " + lane + " x"},
		{"publisher", true, "SPUBLISH " + lane + ":3 x"},
		{"publisher", true, "XADD rte:j:{" + lane + "} MAXLEN ~ 5000 * d x"},
		{"publisher", true, "XADD rte:j:{" + lane + ":3} MAXLEN ~ 5000 * d x"},
		{
			"publisher", true,
			"FCALL rte_publish 3 rte:j:{" + lane + ":3} rte:n:{" + lane + ":3} rte:s:{" + lane + ":3}:User:x:UserStatus " +
				lane + ":3 x 10 5",
		},
		{
			"publisher", true,
			"FCALL rte_publish 3 rte:j:{" + lane + "} rte:n:{" + lane + "} rte:s:{" + lane + "}:User:x:CallbackChanged " +
				lane + " x 10 5 PUBLISH f",
		},
		{"publisher", true, "ECHO x"},
		{"publisher", false, "PUBLISH " + other + " x"},
		{"publisher", false, "PUBLISH " + lane + "0 x"},
		{"publisher", false, "PUBLISH rte:c:disconnect x"},
		{"publisher", false, "XADD rte:j:{" + other + "} * d x"},
		{"publisher", false, "FCALL rte_publish 2 rte:j:{" + other + "} rte:n:{" + other + "} " + other + " x 10 0"},
		{"publisher", false, "SUBSCRIBE " + lane},
		{"publisher", false, "GET rte:n:{" + lane + "}"},
		{"publisher", false, "KEYS *"},
		{"node-receiving", true, "GET rte:d:e:x"},
		{"node-receiving", false, "SET rte:d:e:x y"},
		{"directory", true, "SET rte:d:e:x y"},
		{"directory", true, "DEL rte:d:e:x"},
		{"directory", true, "PUBLISH rte:c:directory {}"},
		{"directory", false, "PUBLISH " + lane + " x"},
		{"directory", false, "SET rte:n:{" + lane + "} 0"},
		{"revoker", true, "ZADD rte:c:revoked GT 1 x"},
		{"revoker", true, "PUBLISH rte:c:revoke {}"},
		{"revoker", false, "PUBLISH rte:c:disconnect {}"},
		{"revoker", false, "SET rte:d:e:x y"},
	} {
		client := goredis.NewClient(
			&goredis.Options{Addr: server.Addr, Username: test.user, Password: password, DisableIdentity: true},
		)
		var args []any
		for word := range strings.FieldsSeq(test.command) {
			args = append(args, word)
		}
		err := client.Do(t.Context(), args...).Err()
		if refused := goredis.HasErrorPrefix(err, "NOPERM"); refused == test.allowed ||
			test.allowed && err != nil && !errors.Is(err, goredis.Nil) {
			t.Errorf("%s: %s: %v", test.user, test.command, err)
		}
		_ = client.Close()
	}
}
