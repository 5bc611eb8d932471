package node

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/rte-server/rte-server/internal/config"
)

const (
	// leastPercent and mostPercent bound what the heap may grow by, in percent, before its garbage is collected.
	leastPercent, mostPercent = 25, 200
	// cheapRate is how many bytes a second the program may allocate at leastPercent. Marking a gigabyte takes about a
	// second of a core, however large the heap is: at this rate collecting takes 2.5 % of one.
	cheapRate = 6 << 20
	// collectorPause is how often the rate is looked at.
	collectorPause = time.Second
)

// collector sets how much garbage the program keeps. What a node holds for its connections it mostly holds while nothing is
// allocated: garbage would then be half of its memory for no gain. When clients come all at once, collecting as often
// would cost a quarter of the processor.
type collector struct {
	percent, limit int // configured; 0: not
	getenv         func(string) string
}

func newCollector(c *config.Memory) *collector {
	return &collector{percent: c.GCPercent, limit: c.Limit, getenv: os.Getenv}
}

// run sets what is configured, unless the environment has set it, and otherwise follows what is allocated, until ctx ends.
// It takes it all back then.
func (g *collector) run(ctx context.Context) error {
	if g.limit > 0 && g.getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(g.limit)))
	}
	if g.getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	percent := g.percent
	if percent == 0 {
		percent = leastPercent
	}
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	if g.percent > 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(collectorPause)
	defer ticker.Stop()
	for last := allocated(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		now := allocated()
		if next := nextPercent(percent, now-last, collectorPause); next != percent {
			percent = next
			debug.SetGCPercent(percent)
			if percent == leastPercent {
				debug.FreeOSMemory() // nothing else collects what is left of the storm while nothing is allocated
			}
		}
		last = now
	}
}

// nextPercent follows a rate of allocation: up at once, because a storm is over when it has been averaged, and down step by
// step, when the rate is half of what it could be there. There are few steps, as each stops the program for a moment, and
// the last one down for some hundred milliseconds: a rate that stays about the same must not make it go up and down.
func nextPercent(percent int, bytes uint64, over time.Duration) int {
	rate := float64(bytes) / over.Seconds()
	if up := fittingPercent(rate); up >= percent {
		return up
	}
	return min(percent, max(fittingPercent(2*rate), percent/4))
}

// fittingPercent is the step at which collecting takes a small part of a core.
func fittingPercent(rate float64) int {
	percent := leastPercent
	for percent < mostPercent && rate > cheapRate*float64(percent)/leastPercent {
		percent *= 2
	}
	return percent
}

// allocated is how many bytes the program has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
