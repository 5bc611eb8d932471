package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The words of the column "reload" in docs/configuration.md.
const (
	// reloadAtOnce marks a key whose new value a reload puts into force.
	reloadAtOnce = "yes"
	// reloadConnect marks a key whose new value counts from the next connection to Redis.
	reloadConnect = "next connection"
)

// markReloads marks the keys whose new values a running server takes over. Every other key needs a restart. A test of
// the command changes each marked key of a running server.
func (k *keyList) markReloads() {
	k.mark(reloadAtOnce,
		"origins", "connection.secret", "connection.previous_secret", "console.token", "console.read_token",
		"console.publish_token",
		"auth.hmac_secret", "auth.previous_hmac_secret", "directory.token", "tracing.headers",
		"limits.connections", "limits.subscriptions", "limits.agent_subscriptions", "limits.items",
		"limits.frame_rate", "limits.call_rate", "limits.ping_rate",
		"quotas.connections", "quotas.user_connections", "quotas.address_connections", "quotas.subscriptions",
		"quotas.events",
		"resync.window", "resync.close_window", "resync.rate",
		"shutdown.delay", "shutdown.drain", "shutdown.timeout", "log.level")
	k.mark(reloadConnect, "redis.username", "redis.password", "redis.sentinel_username", "redis.sentinel_password")
}

// mark marks keys. The file of a secret is marked with the secret.
func (k *keyList) mark(how string, keys ...string) {
	for _, key := range keys {
		if k.flags.Lookup(key) == nil {
			panic("no such key: " + key)
		}
		k.reloads[key] = how
		if k.secrets[key] {
			k.reloads[key+fileSuffix] = how
		}
	}
}

// Reloadable returns the keys whose new values a running server takes over, in the order of the documentation.
func Reloadable() (keys []string) {
	k := newKeyList(&Config{})
	k.flags.VisitAll(func(f *pflag.Flag) {
		if k.reloads[f.Name] != "" {
			keys = append(keys, f.Name)
		}
	})
	return keys
}

// FileKeys returns the keys that name a file, in the order of the documentation.
func FileKeys() (keys []string) {
	k := newKeyList(&Config{})
	k.flags.VisitAll(func(f *pflag.Flag) {
		if strings.HasSuffix(f.Name, "file") {
			keys = append(keys, f.Name)
		}
	})
	return keys
}

// Changes are the keys with new values.
type Changes struct {
	// Applied are in force.
	Applied []string `json:"applied"`
	// Restart have their old values until the server is started again.
	Restart []string `json:"restart"`
}

// Reload reads the sources of l again, and checks the values like the Load that returned l. The result has the new
// values of the keys that a running server takes over, and the old values of all others. Its error names the faulty
// keys; l stays as it is.
func (l *Loaded) Reload() (*Loaded, Changes, error) {
	return l.follow(l.sources.Load(l.files, l.check))
}

// ReloadSecrets is Reload for the files of secrets alone: it takes over nothing else that has changed.
func (l *Loaded) ReloadSecrets() (*Loaded, Changes, error) {
	return l.follow(l.sources.assemble(l.read, l.files, l.check))
}

// follow returns next with the values of l for the keys that need a restart.
func (l *Loaded) follow(next *Loaded, err error) (*Loaded, Changes, error) {
	changes := Changes{Applied: []string{}, Restart: []string{}} // not null in JSON
	if err != nil {
		return nil, changes, err
	}
	var wrong []error
	next.keys.flags.VisitAll(func(f *pflag.Flag) {
		old := l.keys.flags.Lookup(f.Name).Value.String()
		switch {
		case f.Value.String() == old:
		case next.keys.reloads[f.Name] != "":
			changes.Applied = append(changes.Applied, f.Name)
		default:
			changes.Restart = append(changes.Restart, f.Name)
			wrong = append(wrong, f.Value.Set(old))
		}
	})
	if len(changes.Restart) > 0 { // the old and the new values may not fit together
		wrong = append(wrong, l.check(&next.Config))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, changes, fmt.Errorf("%w; keys that need a restart have changed: %v", err, changes.Restart)
	}
	return next, changes, nil
}

// SecretFiles returns the paths of the files that secrets were read from.
func (l *Loaded) SecretFiles() (paths []string) {
	for _, path := range l.keys.secretFiles {
		if *path != "" && !slices.Contains(paths, *path) {
			paths = append(paths, *path)
		}
	}
	slices.Sort(paths)
	return paths
}
