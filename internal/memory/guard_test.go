package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func TestGuard_looksAtMostTenTimesPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pinned, total, looks, collections := int64(0), int64(0), 0, 0
		g := NewGuard(1000, nil)
		g.read = func() (int64, int64) {
			looks++
			return pinned, total
		}
		g.collect = func() { collections++ }
		for _, step := range []struct {
			pinned, total int64
			short         bool
		}{{0, 0, false}, {840, 1020, false}, {860, 900, true}, {840, 900, false}, {100, 1040, true}, {100, 100, false}} {
			pinned, total = step.pinned, step.total
			for range 1000 {
				if got := g.Short(); got != step.short {
					t.Fatalf("%+v: short is %v", step, got)
				}
			}
			time.Sleep(sampleInterval)
		}
		if looks != 8 || collections != 1 { // it looks twice where memory is short
			t.Errorf("%d looks, %d collections", looks, collections)
		}
		// The clients have left, and no collection has noticed.
		pinned, g.collect = 900, func() { pinned = 500 }
		if !g.Short() {
			t.Error("not short")
		}
		time.Sleep(collectInterval)
		if g.Short() {
			t.Error("short after a collection")
		}
	})
}

func TestGuard_ofAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		current := &fstest.MapFile{Data: []byte("940\n")}
		root := fstest.MapFS{
			"proc/self/cgroup":             &fstest.MapFile{Data: []byte("0::/\n")},
			"sys/fs/cgroup/memory.max":     &fstest.MapFile{Data: []byte("1000\n")},
			"sys/fs/cgroup/memory.current": current,
		}
		g := NewGuard(0, FindGroup(root))
		if g.Short() {
			t.Error("short at 94 %")
		}
		current.Data = []byte("960\n")
		time.Sleep(sampleInterval)
		if !g.Short() {
			t.Error("not short at 96 %")
		}
	})
}

func TestGuard_ofNothing(t *testing.T) {
	if NewGuard(0, nil).Short() {
		t.Error("short without a limit")
	}
}

// Garbage does not count, and memory in use does.
func TestReadRuntime(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	before, _ := readRuntime()
	garbage, used := make([]byte, 64<<20), make([]byte, 32<<20)
	_, totalWithGarbage := readRuntime()
	runtime.KeepAlive(garbage)
	runtime.GC()
	pinned, _ := readRuntime()
	if grown := pinned - before; grown < 31<<20 || grown > 48<<20 {
		t.Errorf("32 MiB in use count as %d MiB", grown>>20)
	}
	if totalWithGarbage < 90<<20 {
		t.Errorf("96 MiB count as %d MiB in total", totalWithGarbage>>20)
	}
	runtime.KeepAlive(used)
}
