package fanout

import (
	"runtime"
	"sync"
	"testing"
)

// BenchmarkInbox measures a command from its memory to its shard, while all processors put commands into one inbox.
// `make scaling` runs it.
func BenchmarkInbox(b *testing.B) {
	q := newInbox()
	var taking sync.WaitGroup
	taking.Go(func() {
		for left := b.N; left > 0; {
			c := q.take()
			if c == nil {
				runtime.Gosched()
			}
			for ; c != nil; c = c.next {
				left--
			}
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			q.put(&command{})
		}
	})
	taking.Wait()
}
