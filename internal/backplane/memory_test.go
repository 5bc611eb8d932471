package backplane_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/backplanetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
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
