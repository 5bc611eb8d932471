package backplane_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/backplane"
)

func TestThrottle_countsSkippedWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		throttle := backplane.NewThrottle(zap.New(core))
		warn := func() {
			throttle.Warn("it happened", func() []zap.Field { return []zap.Field{zap.String("how", "so")} })
		}
		for range 1000 {
			warn()
		}
		if logs.Len() != 1 {
			t.Fatalf("%d lines at once, want 1", logs.Len())
		}
		time.Sleep(11 * time.Second)
		warn()
		lines := logs.All()
		if len(lines) != 2 || lines[1].ContextMap()["skipped"] != int64(999) || lines[1].ContextMap()["how"] != "so" {
			t.Errorf("lines are %+v", lines)
		}
	})
}
