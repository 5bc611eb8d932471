package main

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// mustMonitor records the commands that a Redis executes. The function that it returns ends that, and returns them.
func mustMonitor(t *testing.T, redis *rtetest.Redis) (stop func() []string) {
	t.Helper()
	conn, err := net.Dial("tcp", redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	var commands []string
	var running sync.WaitGroup
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "+OK" {
		t.Fatalf("monitor: %s", lines.Text())
	}
	running.Go(func() {
		for lines.Scan() {
			commands = append(commands, lines.Text())
		}
	})
	return func() []string {
		conn.Close()
		running.Wait()
		return commands
	}
}

// environment is a node of one of two deployments that share a Redis, and a client of it.
type environment struct {
	*running

	prefix string
	client *client
}

func startEnvironment(t *testing.T, redis *rtetest.Redis, prefix string) *environment {
	t.Helper()
	e := &environment{prefix: prefix}
	e.running = start(t, serveArgs("--redis.addresses="+redis.Addr, "--redis.prefix="+prefix, "--directory.kind=redis",
		"--auth.refresh")...)
	e.client = e.connect(mustServiceToken(t, testOrganization), "?features=snapshot,notices")
	e.client.ignored = []string{"Resync", "SubscriptionsEnded", "Limits", "Notice"}
	return e
}

// subscribeWhen subscribes until the directory of the environment allows it.
func (e *environment) subscribeWhen(entity string) {
	e.t.Helper()
	eventually(e.t, "a subscription", func() bool {
		return strings.Contains(e.client.subscribe(entity, "UserStatus"), `"subscribed":true`)
	})
}

// use does everything that uses a channel or a key.
func (e *environment) use(w directoryWriter, user string, first int) {
	e.t.Helper()
	document := fmt.Sprintf(`{"kind":"User","organization":%q}`, testOrganization)
	if err := w.Set(e.t.Context(), e.prefix+"d:e:"+user, document, 0).Err(); err != nil {
		e.t.Fatal(err)
	}
	w.notify(e.prefix+"c:directory", `{"entities":["`+user+`"]}`)
	e.subscribeWhen(user)
	line := strings.ReplaceAll(eventLine(first), testUser, user)
	if status, answer := e.postOnce("/api/publish", line, user); status != 200 {
		e.t.Fatalf("published: %d %s", status, answer)
	}
	e.client.expect(fmt.Sprintf(`"id":"0d000000-0000-4000-8000-%012d"`, first))
	mustCommand(e.t, strings.ReplaceAll(eventLine(first+1), testUser, user), "publish",
		"--redis.addresses="+e.redisAddress(), "--redis.prefix="+e.prefix)
	e.client.expect(fmt.Sprintf(`"id":"0d000000-0000-4000-8000-%012d"`, first+1))
	for path, body := range map[string]string{
		"/api/revoke":                            `{"user":"` + user + `"}`,
		"/api/disconnect?nodes=all&user=" + user: "",
	} {
		if status, answer := e.post(path, body); status != 200 {
			e.t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

// redisAddress returns the address in the configuration of the node.
func (e *environment) redisAddress() string {
	return regexp.MustCompile(`"redis connected".*?"address":"([^"]+)"`).FindStringSubmatch(e.output.text())[1]
}

// redis.db separated half: events and revocations of one environment reached the other through the channels.
func TestPrefix_separatesDeploymentsOnOneRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	writer := newDirectoryWriter(t, redis)
	stop := mustMonitor(t, redis)
	const user = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	staging := startEnvironment(t, redis, "staging:")
	neighbour := startEnvironment(t, redis, "staging:")
	staging.use(writer, user, 1)
	// A gap makes the nodes read journals and ask each other.
	if err := writer.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	var channels []string
	eventually(t, "nodes that are connected again", func() bool {
		channels = writer.PubSubChannels(t.Context(), "*").Val()
		return len(channels) >= 10 && slices.Contains(channels, "staging:org:"+testOrganization)
	})
	keys, err := writer.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 5 {
		t.Fatalf("channels %v, keys %v, %v", channels, keys, err)
	}
	for _, name := range slices.Concat(channels, keys) {
		if !strings.HasPrefix(name, "staging:") {
			t.Errorf("%s has no prefix", name)
		}
	}
	foreign := regexp.MustCompile(`"rte:[^"]*"`)
	commands := stop()
	if len(commands) < 20 {
		t.Fatalf("only %d commands are recorded", len(commands))
	}
	for _, command := range commands {
		if names := foreign.FindAllString(command, -1); len(names) > 0 {
			t.Errorf("%v in %.200s", names, command)
		}
	}

	production := startEnvironment(t, redis, "rte:")
	if answer := production.client.subscribe(user, "UserStatus"); strings.Contains(answer, `"subscribed":true`) {
		t.Errorf("a document of the other environment is used: %s", answer)
	}
	production.use(writer, user, 1)
	// Of each deployment, the client saw its own two events, and no other record.
	for _, e := range []*environment{staging, production} {
		e.client.send(`{"type":1,"invocationId":"7","target":"AvailableSubscriptions","arguments":[]}`)
		e.client.expect(`"invocationId":"7"`)
	}
	staging.use(writer, testUser, 3) // revokes the tokens of the user of both clients, and ends connections
	production.client.send(`{"type":1,"invocationId":"8","target":"AvailableSubscriptions","arguments":[]}`)
	production.client.expect(`"invocationId":"8"`)
	for e, want := range map[*environment]int{staging: 1, neighbour: 1, production: 0} {
		var peers int
		eventually(t, "the other nodes", func() bool {
			peers = 0
			for _, state := range []string{"starting", "ready", "degraded"} {
				n, _ := strconv.Atoi(e.metric(`rte_node_peers{state="` + state + `"}`))
				peers += n
			}
			return peers >= want
		})
		if peers != want {
			t.Errorf("%s: %d other nodes, want %d", e.prefix, peers, want)
		}
	}
}

func TestPrefix_isChecked(t *testing.T) {
	for prefix, want := range map[string]string{
		"rte:": "", "staging:": "", "staging:rte:": "", "s.t_a-g1:": "",
		"": "must end", ":": "must end", "staging": "must end", strings.Repeat("s", 64) + ":": "must end",
		"st*:": "must have only", "st{:": "must have only", "st ging:": "must have only",
		"rte:staging:": "must not begin",
	} {
		c := config.Default()
		c.Auth.HMACSecret, c.Redis.Addresses, c.Redis.Prefix = rtetest.Secret, []string{"localhost:6379"}, prefix
		err := config.CheckServer(c)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "redis.prefix: "+want)) {
			t.Errorf("%q: %v, want %q", prefix, err, want)
		}
	}
	_, stderr, err := command(t, "", "config", "check", "--redis.addresses=localhost:6379", "--redis.db=2")
	if err != nil || !strings.Contains(stderr, "warning: redis.db: all databases of a Redis share its channels") {
		t.Errorf("%v\n%s", err, stderr)
	}
	_, stderr, err = command(
		t, "", "config", "check", "--redis.addresses=localhost:6379", "--redis.db=2", "--redis.prefix=b:",
	)
	if err != nil || strings.Contains(stderr, "redis.db") {
		t.Errorf("with a prefix: %v\n%s", err, stderr)
	}
}
