package node

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastPercent and mostPercent bound GOGC: the growth of the heap between two collections, in percent.
	leastPercent, mostPercent = 25, 200
	// cheapRate is the rate of allocation, in bytes per second, up to which leastPercent is cheap. Marking a gigabyte
	// takes about a second of a core, at any size of the heap: at this rate, the collector takes 2.5 % of a core.
	cheapRate = 6 << 20
	// collectorPause is the time between two samples of the rate.
	collectorPause = time.Second
)

// collector adapts GOGC to the rate of allocation. A node with idle connections allocates next to nothing: with the
// usual GOGC, garbage would be half of its memory for no gain. While many clients connect at once, collecting that
// often would cost a quarter of the processor.
type collector struct {
	percent, limit int // configured values; 0: none
	getenv         func(string) string
}

func newCollector(percent, limit int) *collector {
	return &collector{percent: percent, limit: limit, getenv: os.Getenv}
}

// memoryPart returns a bound of memory: the configured one, or a part of the memory limit of the program if that is
// less.
func memoryPart(configured, limit, parts int) int {
	if limit > 0 {
		return min(configured, limit/parts)
	}
	return configured
}

// run applies the configured values until ctx ends, then restores the old ones. Variables of the environment have
// precedence. Without a configured percentage, it adapts GOGC to the rate of allocation.
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
				debug.FreeOSMemory() // without allocations no collection starts, and the garbage of the rush would stay
			}
		}
		last = now
	}
}

// nextPercent returns the percentage for a rate of allocation. It goes up at once, because a rush is over by the time
// an average shows it. It goes down in steps, each when the rate is at most half of the step's. Steps are few because
// each stops the program for a moment, and the last step down for some hundred milliseconds: a steady rate must not
// change the percentage.
func nextPercent(percent int, bytes uint64, over time.Duration) int {
	rate := float64(bytes) / over.Seconds()
	if up := fittingPercent(rate); up >= percent {
		return up
	}
	return min(percent, max(fittingPercent(2*rate), percent/4))
}

// fittingPercent returns the lowest step at which collecting takes a small part of a core.
func fittingPercent(rate float64) int {
	percent := leastPercent
	for percent < mostPercent && rate > cheapRate*float64(percent)/leastPercent {
		percent *= 2
	}
	return percent
}

// allocated returns how many bytes the program has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
