package rtetest

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Redis is a redis-server of a test. It runs on a free port of the loopback address or on a host of a Network, with its
// files in a folder of the test. It keeps no data over a restart, unless its arguments say so. The end of the test
// stops it.
type Redis struct {
	// Addr is host:port. Restart does not change it.
	Addr string
	// Host is its host on a Network; nil: this machine.
	Host *Host

	t     testing.TB
	place place
	dir   string
	args  []string

	environment []string // more variables of its environment
	clock       string   // the file of its clock; empty: that of the machine

	mu  sync.Mutex
	cmd *exec.Cmd // guarded by mu; nil: not running
}

// MustStartRedis starts a redis-server with more arguments, for instance "--appendonly", "yes", and waits until it
// answers.
func MustStartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return mustStartRedisAt(t, loopback(t), args...)
}

// MustStartRedis is the function MustStartRedis for a server on a new host of the network.
func (n *Network) MustStartRedis(args ...string) *Redis {
	n.t.Helper()
	return mustStartRedisAt(n.t, n.MustAddHost().place(redisPort), append([]string{"--protected-mode", "no"}, args...)...)
}

func mustStartRedisAt(t testing.TB, p place, args ...string) *Redis {
	t.Helper()
	r := newRedis(t, p, args)
	r.Start()
	return r
}

// newRedis returns a server that does not run yet.
func newRedis(t testing.TB, p place, args []string) *Redis {
	t.Helper()
	r := &Redis{Addr: p.addr, Host: p.host, t: t, place: p, dir: t.TempDir(), args: args}
	t.Cleanup(r.Kill)
	return r
}

// MustFreeAddr returns a loopback address whose port was free a moment ago.
func MustFreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// MustLookPath returns the path of a program. If the program is missing, it fails the test and names the command that
// installs it.
func MustLookPath(t testing.TB, program, install string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is needed: %s", program, install)
	}
	return path
}

// Start starts the server again after Kill and waits until it answers.
func (r *Redis) Start() {
	r.t.Helper()
	program := mustFindRedis(r.t)
	_, port, _ := net.SplitHostPort(r.Addr)
	args := []string{
		"--port", port, "--bind", r.place.ip(), "--dir", r.dir, "--logfile", r.log(), "--save", "", "--daemonize", "no",
	}
	more := append([]string{"--enable-debug-command", "local"}, r.args...)
	if program.old() { // it does not know the option, and takes each value of an option as an argument of its own
		more = strings.Fields(strings.Join(r.args, " "))
	}
	cmd := r.place.command(program.path, append(args, more...)...)
	cmd.Env = append(os.Environ(), r.environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("start redis-server: %v", err)
	}
	r.mu.Lock()
	r.cmd = cmd
	r.mu.Unlock()
	client := r.Client()
	defer client.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		err := client.Ping(context.Background()).Err()
		if err == nil || goredis.HasErrorPrefix(err, "NOAUTH") || goredis.HasErrorPrefix(err, "unknown command") {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(r.log())
			r.t.Fatalf("redis-server does not answer: %v\n%s%s", err, stderr.Bytes(), text)
		}
	}
}

// log returns the path of its log.
func (r *Redis) log() string { return filepath.Join(r.dir, "redis.log") }

// Logged returns how often its log contains a text.
func (r *Redis) Logged(text string) int {
	r.t.Helper()
	log, err := os.ReadFile(r.log())
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// Info returns a field of INFO; empty: the server has no such field.
func (r *Redis) Info(section, field string) string {
	r.t.Helper()
	client := r.Client()
	defer client.Close()
	text, err := client.Info(context.Background(), section).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Client returns a client of the server that does not retry. The caller closes it.
func (r *Redis) Client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: r.Addr, Dialer: r.place.dial, MaxRetries: -1, Protocol: 2})
}

// Kill ends the server like a crash (SIGKILL). It may be called when the server does not run.
func (r *Redis) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Freeze stops the server's process without ending it (SIGSTOP), like a machine that hangs.
func (r *Redis) Freeze() { r.signal(syscall.SIGSTOP) }

// Thaw continues a frozen server.
func (r *Redis) Thaw() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		r.t.Fatal("redis-server does not run")
	}
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatalf("signal %v to redis-server: %v", s, err)
	}
}

// Port returns the port of Addr.
func (r *Redis) Port() int {
	_, text, _ := net.SplitHostPort(r.Addr)
	port, _ := strconv.Atoi(text)
	return port
}
