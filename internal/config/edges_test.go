package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
)

// load reads a configuration of a server from the command line.
func load(t *testing.T, flags ...string) (*config.Loaded, error) {
	t.Helper()
	s := config.NewSources(nil, nil)
	flags = append([]string{"--auth.hmac_secret=" + strings.Repeat("s", config.MinSecret)}, flags...)
	if err := s.Flags().Parse(flags); err != nil {
		t.Fatal(err)
	}
	return s.Load(nil, config.CheckServer)
}

// The last flag of a list replaced the ones before it without a word: only one origin was accepted.
func TestLoad_repeatedFlagAddsToList(t *testing.T) {
	l, err := load(t, "--origins=https://a.example.com,https://b.example.com", "--origins=https://c.example.com",
		"--path=/a", "--path=/b")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://a.example.com", "https://b.example.com", "https://c.example.com"}
	if !slices.Equal(l.Origins, want) || l.Path != "/b" {
		t.Errorf("origins %q, path %q; want %q and the last path", l.Origins, l.Path, want)
	}
}

// Paths that no client requests could be used: the server answered 404 to everybody.
func TestCheck_refusesUnreachablePath(t *testing.T) {
	for path, want := range map[string]bool{
		"/rte": true, "/rte/": true, "/a/b": true, "/a.b": true, "/größe": true,
		"/rte?x": false, "/rte#x": false, "/rte\n": false, `/rte\x`: false,
		"//rte": false, "/a//b": false, "/./rte": false, "/a/../b": false,
	} {
		if _, err := load(t, "--path="+path); (err == nil) != want {
			t.Errorf("%q: %v, want it accepted: %v", path, err, want)
		}
	}
}

// The address of the operator port was accepted for clients: the start failed later, on one of the two ports.
func TestCheck_refusesOneAddressForBothPorts(t *testing.T) {
	for addresses, want := range map[[2]string]bool{
		{"127.0.0.1:8080", "127.0.0.1:8080"}: false, {":8080", "127.0.0.1:8080"}: false,
		{"0.0.0.0:8080", "localhost:8080"}: false, {"[::]:8080", "127.0.0.1:8080"}: false,
		{"127.0.0.2:8080", "127.0.0.1:8080"}: true, {":8080", "127.0.0.1:9090"}: true, {":0", "127.0.0.1:0"}: true,
	} {
		if _, err := load(t, "--listen="+addresses[0], "--console.listen="+addresses[1]); (err == nil) != want {
			t.Errorf("%q: %v, want it accepted: %v", addresses, err, want)
		}
	}
}

// The keys after the first document of a file were ignored: a node started with half of its configuration.
func TestLoad_refusesSecondDocument(t *testing.T) {
	for text, want := range map[string]string{
		"path: /a\n---\nlimits.connections: 7\n": "rte.yaml:2: a second document begins",
		"path: /a\n---\n[":                       "rte.yaml: yaml: ",
		"---\npath: /a\n":                        "", "path: /a\n...\n": "", "": "", "# nothing\n": "",
	} {
		file := filepath.Join(t.TempDir(), "rte.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		secret := []string{"RTE_AUTH_HMAC_SECRET=" + strings.Repeat("s", config.MinSecret)}
		_, err := config.NewSources(secret, nil).Load([]string{file}, config.CheckServer)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// signalrcore for Python takes a WebSocket ping for a message and ends the connection. By default no client gets one.
func TestDefault_sendsNoWebSocketPings(t *testing.T) {
	if n := config.Default().Limits.UnreadBytes; n != 0 {
		t.Errorf("limits.unread_bytes is %d, want 0", n)
	}
}
