package rtetest

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// clockSource is a library that adds the number in a mapped file to the wall clock of a program, in seconds. The
// monotonic clock stays as it is, as when an operator sets the clock. libfaketime does not start with the allocator of
// Redis.
const clockSource = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *seconds;

__attribute__((constructor)) static void map(void) {
	const char *path = getenv("AUDIT_CLOCK");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = file < 0 ? MAP_FAILED : mmap(0, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
	if (at == MAP_FAILED)
		abort();
	close(file);
	seconds = at;
}

static int64_t by(void) { return seconds ? *seconds : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
	int result = syscall(SYS_clock_gettime, clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += by();
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	struct timespec exact;
	int result = clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return result;
}

time_t time(time_t *now) {
	struct timespec exact;
	clock_gettime(CLOCK_REALTIME, &exact);
	if (now)
		*now = exact.tv_sec;
	return exact.tv_sec;
}
`

// MustStartRedisWithClock is MustStartRedis for a server whose wall clock SetClock sets.
func MustStartRedisWithClock(t testing.TB, args ...string) *Redis {
	t.Helper()
	compiler := MustLookPath(t, "gcc", "apt-get install gcc libc6-dev")
	dir := t.TempDir()
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	MustReplaceFile(t, source, []byte(clockSource))
	if text, err := exec.Command(compiler, "-O2", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("compile the library of the clock: %v\n%s", err, text)
	}
	r := newRedis(t, loopback(t), args)
	r.clock = filepath.Join(dir, "clock")
	r.environment = []string{"LD_PRELOAD=" + library, "AUDIT_CLOCK=" + r.clock}
	r.writeClock(0)
	r.Start()
	return r
}

// SetClock sets the wall clock of the server to the time of the machine and by, and waits until the server has it.
func (r *Redis) SetClock(by time.Duration) {
	r.t.Helper()
	r.writeClock(by)
	client := r.Client()
	defer client.Close()
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		now, err := client.Time(context.Background()).Result()
		if err == nil && (time.Until(now)-by).Abs() < 10*time.Second {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the clock of Redis is %s, %v, want one that differs by %s", now, err, by)
		}
	}
}

// writeClock writes into the mapped file.
func (r *Redis) writeClock(by time.Duration) {
	r.t.Helper()
	file, err := os.OpenFile(r.clock, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	seconds := binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second))
	if _, err = file.Write(seconds); err == nil {
		err = file.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}
