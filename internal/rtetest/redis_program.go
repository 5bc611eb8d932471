package rtetest

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// redisProgram is a program that speaks the protocol of Redis.
type redisProgram struct {
	path string
	// name is the product and its version, such as "Redis 7.0.15".
	name string
}

// redisVersions are the names of the programs, by path.
var redisVersions sync.Map

// mustFindRedis returns the program that tests start as Redis: the one that RTE_REDIS_SERVER names, or redis-server.
func mustFindRedis(t testing.TB) redisProgram {
	t.Helper()
	p := redisProgram{path: os.Getenv("RTE_REDIS_SERVER")}
	if p.path == "" {
		p.path = MustLookPath(t, "redis-server", "apt-get install redis-server")
	}
	if known, ok := redisVersions.Load(p.path); ok {
		p.name, _ = known.(string)
		return p
	}
	// "Redis server v=7.0.15 sha=00000000:0 malloc=..."
	text, err := exec.Command(p.path, "--version").Output()
	product, rest, found := strings.Cut(string(text), " server v=")
	if err != nil || !found {
		t.Fatalf("%s --version: %q, %v", p.path, text, err)
	}
	p.name = product + " " + strings.Fields(rest)[0]
	redisVersions.Store(p.path, p.name)
	return p
}

// old reports whether it is a Redis before 7, which has neither functions nor sharded channels.
func (p redisProgram) old() bool {
	return strings.HasPrefix(p.name, "Redis 6.") || strings.HasPrefix(p.name, "Redis 5.")
}

// RedisName returns the product and the version that MustStartRedis starts.
func RedisName(t testing.TB) string {
	t.Helper()
	return mustFindRedis(t).name
}

// RedisHasFunctions reports whether the server that MustStartRedis starts has functions and sharded channels.
func RedisHasFunctions(t testing.TB) bool {
	t.Helper()
	return !mustFindRedis(t).old()
}
