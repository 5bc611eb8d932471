package hub_test

import (
	"runtime"
	"testing"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/hub"
)

// BenchmarkInvoke measures a call from Session.Invoke until its answer is on its way to the shard.
func BenchmarkInvoke(b *testing.B) {
	for _, shape := range []struct{ name, target, argument string }{
		{"UnsubscribeAll", "UnsubscribeAll", ""},
		{"AvailableSubscriptions", "AvailableSubscriptions", ""},
		{"Subscribe1", "Subscribe", items(1)},
		{"Subscribe20", "Subscribe", items(numbers(20)...)},
		{"Subscribe400", "Subscribe", items(numbers(400)...)},
		{"UnknownMethod", "NoSuch", ""},
	} {
		b.Run(shape.name, func(b *testing.B) {
			r := newRig(b, hub.Options{Logger: zap.NewNop()})
			defer r.start(b)()
			c := r.connect(b)
			inv := invocation("1", shape.target)
			if shape.argument != "" {
				inv = invocation("1", shape.target, shape.argument)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Invoke(b.Context(), inv)
			}
		})
	}
}

// BenchmarkInvokeParallel has a session per goroutine, as in a storm of reconnects.
func BenchmarkInvokeParallel(b *testing.B) {
	r := newRig(b, hub.Options{Logger: zap.NewNop()})
	defer r.start(b)()
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		c := r.connect(b)
		inv := invocation("1", "Subscribe", items(numbers(20)...))
		for pb.Next() {
			c.Invoke(b.Context(), inv)
		}
	})
}

// BenchmarkMemory reports the memory of a subscription without its session, everything below the hub included: 200
// clients subscribe to the same 1,000 entities.
func BenchmarkMemory(b *testing.B) {
	const clients, batches, batch = 200, 10, 100
	for b.Loop() {
		r := newRig(b, hub.Options{Logger: zap.NewNop()})
		stop := r.start(b)
		sessions := make([]*client, clients)
		for i := range sessions {
			sessions[i] = r.connect(b)
		}
		before := heap()
		for _, c := range sessions {
			for n := range batches {
				var list []int
				for i := range batch {
					list = append(list, n*batch+i)
				}
				c.Invoke(b.Context(), invocation("", "Subscribe", items(list...)))
			}
		}
		b.ReportMetric(float64(heap()-before)/(clients*batches*batch), "B/subscription")
		runtime.KeepAlive(sessions)
		stop()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func numbers(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}
