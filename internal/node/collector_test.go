package node

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/config"
)

func TestNextPercent_followsRate(t *testing.T) {
	for _, step := range []struct {
		percent int
		bytes   uint64
		want    int
	}{
		{25, 0, 25},
		{25, cheapRate, 25},
		{25, cheapRate + 1, 50},
		{25, 3 * cheapRate, 100},
		{25, 1 << 40, 200}, // at once, up to the bound
		{200, 1 << 40, 200},
		{200, 0, 50}, // one step at a time
		{100, 0, 25},
		{50, 0, 25},
		{200, 2 * cheapRate, 100},
		{200, 3 * cheapRate, 200}, // a step down would soon be followed by one up
		{50, cheapRate, 50},
		{50, cheapRate / 2, 25},
	} {
		if got := nextPercent(step.percent, step.bytes, time.Second); got != step.want {
			t.Errorf("after %d and %d bytes: %d, want %d", step.percent, step.bytes, got, step.want)
		}
	}
}

func TestCollector_appliesAndRestores(t *testing.T) {
	before := currentPercent()
	for name, test := range map[string]struct {
		config      config.Memory
		environment map[string]string
		percent     int
		limit       int64
	}{
		"by itself":     {config.Memory{}, nil, leastPercent, math.MaxInt64},
		"as configured": {config.Memory{GCPercent: 70, Limit: 4 << 30}, nil, 70, 4 << 30},
		"as the environment says": {
			config.Memory{GCPercent: 70, Limit: 4 << 30},
			map[string]string{"GOGC": "90", "GOMEMLIMIT": "1GiB"},
			before,
			math.MaxInt64,
		},
		"and each of them as such": {
			config.Memory{GCPercent: 70, Limit: 4 << 30}, map[string]string{"GOGC": "90"}, before, 4 << 30,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newCollector(test.config.GCPercent, test.config.Limit)
				g.getenv = func(key string) string { return test.environment[key] }
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- g.run(ctx) }()
				synctest.Wait()
				if percent, limit := currentPercent(), debug.SetMemoryLimit(-1); percent != test.percent || limit != test.limit {
					t.Errorf("%d %% and %d bytes, want %d and %d", percent, limit, test.percent, test.limit)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if percent, limit := currentPercent(), debug.SetMemoryLimit(-1); percent != before || limit != math.MaxInt64 {
					t.Errorf("%d %% and %d bytes are left", percent, limit)
				}
			})
		})
	}
}

func currentPercent() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}
