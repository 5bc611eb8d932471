package fanout

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkAges measures the cost of the histograms of age and delay for a shard, for batches of events that it writes
// together. user-ns/event is processor time of the thread: other programs hardly change it.
func BenchmarkAges(b *testing.B) {
	for _, size := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("%dEvents", size), func(b *testing.B) {
			delays, ages := newAgeHistogram("delays", ""), newAgeHistogram("ages", "")
			shard, queue := &Shard{}, &turnQueue{}
			arrived := time.Now()
			ev := &broadcast{arrived: arrived, published: arrived.Add(-20 * time.Millisecond)}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ReportAllocs()
			before := userTime(b)
			for b.Loop() {
				for range size {
					queue.unmeasured = append(queue.unmeasured, ev)
				}
				shard.measure(queue)
				delays.take(&shard.counts.delays)
				ages.take(&shard.counts.ages)
			}
			b.ReportMetric(float64(userTime(b)-before)/float64(b.N*size), "user-ns/event")
		})
	}
}

// userTime returns the processor time that the thread spent outside of the kernel.
func userTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano())
}
