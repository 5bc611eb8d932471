package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
)

// mustWrite writes a file of the test and returns its path.
func mustWrite(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// loadWith reads a configuration of a server from all kinds of sources.
func loadWith(files, environ []string) (*config.Loaded, error) {
	return config.NewSources(environ, nil).Load(files, config.CheckServer)
}

// TestLoad_laterSourcesWin checks the rule for several files and the environment.
func TestLoad_laterSourcesWin(t *testing.T) {
	one := mustWrite(t, "one.yaml", "path: /one\nlisten: ':1'\norigins: [https://a.example.com, https://b.example.com]\n")
	two := mustWrite(t, "two.yaml", "path: /two\norigins: [https://c.example.com]\n")
	l, err := loadWith([]string{one, two}, []string{
		"RTE_AUTH_HMAC_SECRET=" + strings.Repeat("s", config.MinSecret), "RTE_CONFIG=/no/such/file", "RTE_LISTEN=:2",
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Path != "/two" || l.Listen != ":2" || len(l.Origins) != 1 {
		t.Errorf("path %s, listen %s, origins %v", l.Path, l.Listen, l.Origins)
	}
}

func TestLoad_readsSecretsFromFiles(t *testing.T) {
	secret := strings.Repeat("s", config.MinSecret)
	good, empty := mustWrite(t, "good", secret+"\r\n"), mustWrite(t, "empty", "\n")
	large := mustWrite(t, "large", strings.Repeat("s", 1<<20))
	l, err := loadWith(nil, []string{"RTE_AUTH_HMAC_SECRET_FILE=" + good})
	if err != nil || l.Auth.HMACSecret != secret {
		t.Fatalf("the secret is %q, %v", l.Auth.HMACSecret, err)
	}
	var printed strings.Builder
	if err := l.Print(&printed); err != nil || strings.Contains(printed.String(), secret) ||
		!strings.Contains(printed.String(), "auth.hmac_secret_file: "+good) {
		t.Errorf("printed %v\n%s", err, printed.String())
	}
	again := mustWrite(t, "printed.yaml", printed.String())
	if _, err := loadWith([]string{again}, nil); err != nil {
		t.Errorf("what Print wrote: %v", err)
	}
	for want, environ := range map[string][]string{
		"auth.hmac_secret: is set together with auth.hmac_secret_file": {
			"RTE_AUTH_HMAC_SECRET_FILE=" + good, "RTE_AUTH_HMAC_SECRET=" + secret,
		},
		"auth.hmac_secret_file: " + empty + ": is empty":           {"RTE_AUTH_HMAC_SECRET_FILE=" + empty},
		"auth.hmac_secret_file: " + large + ": is larger than":     {"RTE_AUTH_HMAC_SECRET_FILE=" + large},
		"auth.hmac_secret_file: open /no/such: no such":            {"RTE_AUTH_HMAC_SECRET_FILE=/no/such"},
		"redis.password_file: read " + filepath.Dir(good) + ": is": {"RTE_REDIS_PASSWORD_FILE=" + filepath.Dir(good)},
	} {
		if _, err := loadWith(nil, environ); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
