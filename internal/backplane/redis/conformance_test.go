package redis_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A pool of go-redis that could not dial ends a second after it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// mustRun makes a backplane that runs until the test ends.
func mustRun(t testing.TB, o redis.Options) *redis.Backplane {
	t.Helper()
	b, err := redis.New(o)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return b
}

// waitHealth waits until a backplane is connected, or is not.
func waitHealth(t testing.TB, b *redis.Backplane, connected bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); b.Health().Connected != connected; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("health is %+v", b.Health())
		}
	}
}

func TestConformance(t *testing.T) {
	server := rtetest.MustStartRedis(t)
	backplanetest.Test(t, 3, func(t *testing.T, _ string, o backplane.Options) backplane.Backplane {
		b := mustRun(t, redis.Options{Options: o, Addresses: []string{server.Addr}, Linger: 20 * time.Millisecond})
		waitHealth(t, b, true)
		return b
	})
}
