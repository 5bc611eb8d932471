package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/config"
)

// mustLoad loads a configuration from an environment and flags.
func mustLoad(t *testing.T, environ []string, flags ...string) *config.Loaded {
	t.Helper()
	s := config.NewSources(environ, nil)
	if err := s.Flags().Parse(flags); err != nil {
		t.Fatal(err)
	}
	l, err := s.Load(nil, func(*config.Config) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// limits.items was 2,000 and limits.message_bytes 32 KiB: 420 items passed, and 500 closed a connection whose client
// then reconnected and repeated the call without end.
func TestWarnings_reportContradictions(t *testing.T) {
	tests := map[string]struct {
		flags []string
		want  []string // the beginning of each
	}{
		"defaults": {nil, nil},
		"items": {
			[]string{"--limits.items=3000", "--limits.agent_subscriptions=0"},
			[]string{"limits.message_bytes: a call with limits.items (3000) items needs up to 376KiB;"},
		},
		"short messages": {
			[]string{"--limits.message_bytes=32KiB"}, []string{"limits.message_bytes: a call with limits.items (2000)"},
		},
		"fewer of both": {[]string{"--limits.message_bytes=32KiB", "--limits.items=240"}, nil},
		"few subscriptions": {
			[]string{"--limits.subscriptions=1000"}, []string{"limits.items: above limits.subscriptions (1000)"},
		},
		"few of an agent": {
			[]string{"--limits.agent_subscriptions=1000"}, []string{"limits.items: above limits.agent_subscriptions (1000)"},
		},
		"small outboxes": {
			[]string{"--limits.total_outbox_bytes=8MiB"},
			[]string{"limits.outbox_bytes: one user may have a sixteenth of limits.total_outbox_bytes, which is only 512KiB"},
		},
		"short frames": {
			[]string{"--limits.frame_bytes=64KiB"}, []string{"limits.frame_bytes: below limits.message_bytes (256KiB)"},
		},
		"short headers": {
			[]string{"--limits.header_bytes=16KiB"}, []string{"limits.header_bytes: a header with a token"},
		},
		"useless quota": {
			[]string{"--quotas.connections=9", "--limits.connections=8"}, []string{"quotas.connections: above"},
		},
		"little memory": {[]string{"--memory.limit=63MiB"}, []string{
			"limits.outbox_bytes: one user may have a sixteenth of a quarter of memory.limit, which is only 1008KiB",
			"memory.limit: redis.total_queue_bytes",
		}},
		"memory of a container": {[]string{"--memory.limit=auto", "--limits.connections=1000000"}, nil},
		"more connections than memory": {
			[]string{"--memory.limit=2GiB", "--limits.connections=1000000"},
			[]string{"memory.limit: limits.connections (1000000) take at least 5000000KiB without any subscription;"},
		},
		"no memory": {
			[]string{"--memory.limit=16MiB", "--snapshots.mode=off", "--limits.outbox_bytes=256KiB"},
			[]string{"memory.limit: a node without clients takes more than 16MiB"},
		},
		"memory for Redis": {
			[]string{"--memory.limit=256MiB", "--redis.addresses=a:1"}, []string{"memory.limit: redis.total_queue_bytes"},
		},
		"memory without it": {[]string{"--memory.limit=256MiB"}, nil},
		"slow Subscribe": {
			[]string{"--timeouts.subscribe=10s"}, []string{"timeouts.subscribe: not below timeouts.invocation (10s)"},
		},
		"slow snapshots": {
			[]string{"--timeouts.snapshot=10s"}, []string{"timeouts.snapshot: not below timeouts.invocation (10s)"},
		},
		"slow snapshots, off": {[]string{"--timeouts.snapshot=10s", "--snapshots.mode=off"}, nil},
		"slow directory": {
			[]string{"--directory.kind=redis", "--directory.timeout=1m"}, []string{"directory.timeout: not below"},
		},
		"short wait": {
			[]string{"--shutdown.timeout=80s", "--redis.addresses=a:1"}, []string{"shutdown.timeout: below shutdown.delay"},
		},
		"short wait, alone": {[]string{"--shutdown.timeout=80s"}, nil},
		"short stop":        {[]string{"--shutdown.timeout=66s"}, []string{"shutdown.timeout: below shutdown.delay"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := mustLoad(t, nil, test.flags...).Warnings()
			if len(got) != len(test.want) {
				t.Fatalf("warnings: %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("warning %q, want %q", got[i], want)
				}
			}
		})
	}
}

// A secret of a file or a variable had a newline at its end and signed other tokens than intended.
func TestLoad_trimsNewlinesOfSecrets(t *testing.T) {
	l := mustLoad(
		t, []string{"RTE_CONSOLE_TOKEN=0123456789abcdef\r\n"}, "--auth.hmac_secret="+strings.Repeat("s", 32)+"\n",
		"--path=/x\n",
	)
	if l.Auth.HMACSecret != strings.Repeat("s", 32) || l.Console.Token != "0123456789abcdef" {
		t.Errorf("secrets %q and %q", l.Auth.HMACSecret, l.Console.Token)
	}
	if l.Path != "/x\n" {
		t.Errorf("path %q: only secrets are trimmed", l.Path)
	}
	want := []string{
		"console.token: the newline at the end of the value of RTE_CONSOLE_TOKEN is removed",
		"auth.hmac_secret: the newline at the end of the value of --auth.hmac_secret is removed",
	}
	if diff := cmp.Diff(want, l.Warnings()); diff != "" {
		t.Error(diff)
	}
}

// Of two files the first was ignored without a word.
func TestLoad_layersFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base, own := file("base.yaml", "path: /base\nredis.db: 3\n"), file("own.yaml", "path: /own\n")
	s := config.NewSources([]string{"RTE_CONFIG=" + file("unused.yaml", "redis.lanes: 7\n")}, nil)
	l, err := s.Load([]string{base, own}, func(*config.Config) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if l.Path != "/own" || l.Redis.DB != 3 || l.Redis.Lanes != 1 {
		t.Errorf("path %s, db %d, lanes %d", l.Path, l.Redis.DB, l.Redis.Lanes)
	}
}
