package hub_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/hub"
)

// Clients connect, subscribe, receive events and leave, some in the middle of it. Afterwards memory and goroutines are
// what they were after the first of them.
func TestHub_keepsNothingOfClientsThatLeft(t *testing.T) {
	cycles := churnCycles // "make churn": a million
	if text := os.Getenv("RTE_CHURN_CYCLES"); text != "" {
		var err error
		if cycles, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, hub.Options{Logger: zap.NewNop(), Limits: hub.Limits{Quota: 1 << 20}})
	defer r.start(t)()
	r.churn(t, cycles/10) // fills the pools and the spare buffers
	heapBefore, goroutinesBefore := heap(), runtime.NumGoroutine()

	r.churn(t, cycles)
	r.nothingLeft(t)
	if used := r.QuotaUsed(); used != 0 {
		t.Errorf("%d subscriptions are counted for a quota", used)
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutinesBefore; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutinesBefore)
		}
	}
	// A million clients that left 1 byte each would reach it; maps and buffers vary by as much.
	if grown := heap() - heapBefore; grown > 1<<20 {
		t.Errorf("memory has grown by %d bytes in %d cycles", grown, cycles)
	}
}

// churn lets clients come and go, and returns when the shards have seen the end of the last.
func (r *rig) churn(t *testing.T, cycles int) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(cycles))
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				r.visit(t)
			}
		})
	}
	running.Wait()
	for deadline := time.Now().Add(time.Minute); r.dispatcher.Topics() > 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
}

// visit is the life of one client.
func (r *rig) visit(t *testing.T) {
	c := r.connect(t)
	first := rand.IntN(5000)
	subscribe := func() { c.Invoke(t.Context(), invocation("1", "Subscribe", items(first, first+1))) }
	switch rand.IntN(10) {
	case 0:
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			c.Close(hub.CloseGone) // while it subscribes
		}()
		subscribe()
		<-gone
	case 1:
		subscribe()
		c.Invoke(t.Context(), invocation("2", "UnsubscribeAll"))
	default:
		subscribe()
		r.publish(first, `{}`)
	}
	c.Close(hub.CloseByClient)
}
