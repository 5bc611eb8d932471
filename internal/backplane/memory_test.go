package backplane_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
	"github.com/rte-server/rte-server/internal/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory_passesTheSuite(t *testing.T) {
	backplanetest.Test(t, 1, func(t *testing.T, _ string, o backplane.Options) backplane.Backplane {
		m := backplane.NewMemory(o)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
		if !m.Health().Connected {
			t.Error("memory is not connected")
		}
		return m
	})
}

// States of lanes without later events were never removed, and took the room of others.
func TestMemory_removesExpiredStatesOfQuietLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := backplane.NewMemory(backplane.Options{
			Catalog: events.Builtin(), Sink: backplanetest.NewRecorder(), SnapshotMemory: 1000,
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		quiet := backplanetest.Topic(events.NewID(), events.NewID())
		next := backplanetest.Topic(events.NewID(), events.NewID())
		backplanetest.MustPublish(t, m, backplanetest.NewEvent(quiet, 1)) // expires after a minute
		backplanetest.MustPublish(t, m, backplanetest.NewEvent(next, 2))
		if got := backplanetest.MustSnapshot(t, m, next)[next]; len(got) != 0 {
			t.Fatalf("snapshot is %v, want no room for it", got)
		}
		time.Sleep(3 * time.Minute)
		backplanetest.MustPublish(t, m, backplanetest.NewEvent(next, 3))
		if got := backplanetest.MustSnapshot(t, m, next)[next]; len(got) != 1 {
			t.Errorf("snapshot is %v, want one", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
