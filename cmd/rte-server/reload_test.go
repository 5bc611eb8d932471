package main

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// SIGHUP ended the node, at the end of its terminal or by an operator who meant a reload.
func TestReload_atHangup(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	file := filepath.Join(t.TempDir(), "rte.yaml")
	rtetest.MustReplaceFile(t, file, []byte("log.level: info\npath: /rte\n"))
	p := startProcess(t, writer, "--config="+file)
	_ = writer.Close()
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	expect := func(parts ...string) {
		t.Helper()
		for line := range lines {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return
			}
		}
		t.Fatalf("the log has no line with %q", parts)
	}
	c := p.connect(mustServiceToken(t, testOrganization), "")
	hangUp := func(text string) {
		t.Helper()
		rtetest.MustReplaceFile(t, file, []byte(text))
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp("log.level: debug\npath: /other\n")
	expect(`"configuration reloaded"`, `"cause":"SIGHUP"`, `"applied":["log.level"]`)
	expect(`"configuration keys need a restart"`, `"keys":["path"]`)
	hangUp("log.level: loud\n")
	expect(`"configuration refused`, "log.level: must be one of")
	p.checkServes(mustServiceToken(t, testOrganization), c)
	p.terminate(syscall.SIGTERM)
}

// TestReload_keepsOldValuesOfFaultyFile checks that a reload applies nothing if any value is wrong.
func TestReload_keepsOldValuesOfFaultyFile(t *testing.T) {
	r := startReloading(t, nil)
	good := maps.Clone(r.values)
	for text, want := range map[string]string{
		"quotas.connections: 1\nlimits.items: none\n":                   "limits.items: must be",
		"quotas.connections: 1\nno.such: key\n":                         "unknown key",
		"quotas.connections: 1\n\tlog.level":                            "rte.yaml",
		"quotas.connections: 1\nauth.hmac_secret_file: /no/such/file\n": "auth.hmac_secret_file: open /no/such/file",
		"quotas.connections: 1\nauth.hmac_secret: ''\n":                 "auth.hmac_secret: must be set",
		"quotas.connections: 1\nauth.hmac_secret: " + otherSecret +
			"\nauth.public_key_file: /no/such\n": "/no/such",
		// The new value would be right together with others that need a restart.
		"quotas.connections: 1\nauth.hmac_secret: " + otherSecret +
			"\nshutdown.delay: 1h\nshutdown.timeout: 1m\n": "shutdown.timeout: must be",
	} {
		rtetest.MustReplaceFile(t, r.path(), []byte(text))
		status, answer := r.postReload("")
		if status != http.StatusBadRequest || !strings.Contains(answer, want) || strings.Contains(answer, otherSecret) {
			t.Errorf("%q: %d %s, want %s", text, status, answer, want)
		}
		if r.refuses() {
			t.Errorf("%q: the quota of the faulty file is in force", text)
		}
	}
	if n := r.metric(`rte_config_reloads_total{result="refused"}`); n != "7" {
		t.Errorf("%s reloads are refused, want 7", n)
	}
	r.checkClient()
	r.values = good
	if applied, restart := r.reload(map[string]string{"hub.pool": "7", "limits.items": "9"}); !slices.Equal(
		applied, []string{"limits.items"},
	) || !slices.Equal(restart, []string{"hub.pool"}) {
		t.Errorf("applied %v, restart %v", applied, restart)
	}
	if n := r.metric("rte_config_restart_keys"); n != "1" {
		t.Errorf("%s keys need a restart", n)
	}
	if applied, restart := r.reload(nil); len(applied) > 0 || len(restart) != 1 {
		t.Errorf("again: applied %v, restart %v", applied, restart)
	}
	if applied, restart := r.reload(map[string]string{"hub.pool": "0"}); len(applied) > 0 || len(restart) > 0 {
		t.Errorf("back: applied %v, restart %v", applied, restart)
	}
}

// mustMount writes files as Kubernetes mounts a secret: links to a folder that a link swaps at once.
func mustMount(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	present, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(dir, fmt.Sprintf("..version%d", len(present)))
	if err := os.Mkdir(version, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		rtetest.MustReplaceFile(t, filepath.Join(version, name), []byte(text))
		if link := filepath.Join(dir, name); os.Symlink(filepath.Join("..data", name), link) != nil {
			if _, err := os.Lstat(link); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(filepath.Base(version), filepath.Join(dir, "..fresh")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..fresh"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// TestReload_watchesFilesOfSecrets rotates the key of tokens as Kubernetes does, with a client that stays connected.
func TestReload_watchesFilesOfSecrets(t *testing.T) {
	dir := t.TempDir()
	mustMount(t, dir, map[string]string{"key": rtetest.Secret + "\n", "before": otherSecret + "\n"})
	r := startReloading(t, map[string]string{
		"auth.hmac_secret": "", "auth.hmac_secret_file": filepath.Join(dir, "key"),
		"auth.previous_hmac_secret_file": filepath.Join(dir, "before"),
	})
	const third = "a third secret of at least thirty-two bytes"
	accepts := func(secret string) bool {
		status, _ := r.negotiate(tokenOf(t, secret))
		return status == http.StatusOK
	}
	if !accepts(rtetest.Secret) || !accepts(otherSecret) || accepts(third) {
		t.Fatal("the files of the start are not in force")
	}
	mustMount(t, dir, map[string]string{"key": third + "\n", "before": rtetest.Secret + "\n"})
	eventually(t, "the new key", func() bool { return accepts(third) && accepts(rtetest.Secret) && !accepts(otherSecret) })
	if n := r.metric(`rte_config_reloads_total{result="ok"}`); n != "1" {
		t.Errorf("%s reloads", n)
	}
	// A file that is not written yet.
	mustMount(t, dir, map[string]string{"key": "", "before": rtetest.Secret + "\n"})
	eventually(t, "a refusal", func() bool { return r.metric(`rte_config_reloads_total{result="refused"}`) == "1" })
	if !accepts(third) {
		t.Error("an empty file took the key away")
	}
	// Other changes of the configuration wait for a reload.
	r.values["quotas.connections"] = "1"
	r.write()
	mustMount(t, dir, map[string]string{"key": otherSecret, "before": third})
	eventually(t, "the next key", func() bool { return accepts(otherSecret) && !accepts(rtetest.Secret) })
	r.checkClient()
	log := r.output.text()
	for _, secret := range []string{rtetest.Secret, otherSecret, third} {
		if strings.Contains(log, secret) {
			t.Error("a secret is in the log")
		}
	}
}

// TestReload_changesStop changes the times of a stop, which would take hours.
func TestReload_changesStop(t *testing.T) {
	for _, test := range []struct {
		key, to string
		from    map[string]string
	}{
		{"shutdown.delay", "0s", map[string]string{"shutdown.delay": "1h", "shutdown.timeout": "3h"}},
		{"shutdown.drain", "0s", map[string]string{"shutdown.drain": "1h", "shutdown.timeout": "3h"}},
		{"shutdown.timeout", "1s", map[string]string{"shutdown.timeout": "3h", "timeouts.close": "2h"}},
	} {
		t.Run(test.key, func(t *testing.T) {
			r := startReloading(t, test.from)
			r.connect(mustServiceToken(t, testOrganization), "") // never confirms that it is closed
			if applied, _ := r.reload(map[string]string{test.key: test.to}); !slices.Equal(applied, []string{test.key}) {
				t.Errorf("applied %v", applied)
			}
			if test.key == "shutdown.timeout" {
				r.cancel()
				eventually(t, "the end", func() bool { return len(r.done) == 1 })
				t.Log(<-r.done) // an error: clients had to be cut off
				r.done <- nil
				return
			}
			r.stop()
		})
	}
}

// TestReload_rotatesPasswordOfRedis checks that a connection to Redis that is opened after a reload uses the new user
// and password, and that a reload closes none.
func TestReload_rotatesPasswordOfRedis(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	admin := redis.Client()
	defer admin.Close()
	setUser := func(user string, rules ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), append([]any{"ACL", "SETUSER", user}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	setUser("one", "on", ">first", "~*", "&*", "+@all")
	r := startReloading(t, map[string]string{
		"redis.addresses": redis.Addr, "redis.username": "one", "redis.password": "first",
	})
	ready := func() bool {
		_, body := fetch(t, "GET", r.operators+"/readyz")
		return strings.Contains(body, `"state":"ready"`)
	}
	eventually(t, "a node that is ready", ready)
	epochs := func() (ended string) {
		_, body := fetch(t, "GET", r.operators+"/metrics")
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "rte_backplane_epochs_total") {
				ended += line
			}
		}
		return ended
	}
	for _, step := range []struct{ user, end string }{{"one", "<first"}, {"two", "off"}} {
		setUser(step.user, "on", ">second", "~*", "&*", "+@all")
		before := epochs()
		r.reload(map[string]string{"redis.username": step.user, "redis.password": "second"})
		if after := epochs(); after != before {
			t.Errorf("the reload ended connections: %s, then %s", before, after)
		}
		setUser("one", step.end)
		for _, kind := range []string{"pubsub", "normal"} { // skips the connection of this test
			if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", kind).Err(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "connections as "+step.user, func() bool {
			list, err := admin.ClientList(t.Context()).Result()
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(list, "user="+step.user+" ") && strings.Contains(list, "cmd=subscribe") && ready()
		})
		r.checkClient()
	}
	if log := r.output.text(); strings.Contains(log, "second") {
		t.Error("a password is in the log")
	}
}

// TestReload_rotatesSecretBetweenNodes checks that operations reach a node that started with the next secret alone.
func TestReload_rotatesSecretBetweenNodes(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	first := startReloading(t, map[string]string{"redis.addresses": redis.Addr, "connection.secret": rtetest.Secret})
	first.reload(map[string]string{"connection.secret": otherSecret, "connection.previous_secret": rtetest.Secret})
	second := start(t, serveArgs("--redis.addresses="+redis.Addr, "--connection.secret="+otherSecret)...)
	eventually(t, "the nodes to know each other", func() bool { return len(first.nodes()) == 2 })
	far := second.connect(tokenOf(t, rtetest.Secret), "")
	status, answer := fetch(t, "POST", first.operators+"/api/disconnect?nodes=all&user="+testUser)
	if status != http.StatusOK || strings.Contains(answer, "unanswered") {
		t.Errorf("disconnect: %d %s", status, answer)
	}
	far.expect(`{"type":7`)
}

// TestReload_changesNotices checks the time over which clients are notified of lost events.
func TestReload_changesNotices(t *testing.T) {
	redis := rtetest.MustStartRedis(t)
	admin := redis.Client()
	defer admin.Close()
	r := startReloading(t, map[string]string{
		"redis.addresses": redis.Addr, "resync.window": "1ms", "resync.close_window": "1ms", "resync.rate": "500",
	})
	r.client.subscribe(testUser, "UserStatus")
	for _, step := range []struct {
		key, to     string
		least, most time.Duration
	}{
		{"", "", 0, 100 * time.Millisecond},
		{"resync.rate", "1", 500 * time.Millisecond, 10 * time.Second},
		{"resync.window", "1h", time.Minute, time.Hour},
		{"resync.close_window", "1h", time.Minute, time.Hour},
	} {
		if step.key != "" {
			r.reload(map[string]string{step.key: step.to})
		}
		stock := r.connect(mustServiceToken(t, testOrganization), "")
		defer func() { _ = stock.ws.CloseNow() }()
		if step.key != "resync.window" {
			stock.subscribe(testUser, "UserStatus")
		}
		for len(r.output.lines) > 0 {
			<-r.output.lines
		}
		if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		over, err := time.ParseDuration(r.logged("clients will be notified of lost events or asked to subscribe again").Over)
		if err != nil || over < step.least || over > step.most {
			t.Errorf("%s %s: clients are notified over %s, %v", step.key, step.to, over, err)
		}
		if step.most < time.Minute {
			eventually(t, "the notice", func() bool { return r.metric("rte_hub_resync_waiting") == "0" })
		}
	}
	r.checkClient()
}
