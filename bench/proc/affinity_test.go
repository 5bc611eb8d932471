package proc_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rte-server/rte-server/bench/proc"
)

// affinities returns the cores of each thread of this process.
func affinities(t *testing.T) map[int]unix.CPUSet {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	sets := map[int]unix.CPUSet{}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		var set unix.CPUSet
		if unix.SchedGetaffinity(tid, &set) == nil { // if not, it has ended
			sets[tid] = set
		}
	}
	return sets
}

func TestPinSelf_movesThreadsThatStartMeanwhile(t *testing.T) {
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	before := affinities(t)[os.Getpid()]
	t.Cleanup(func() {
		for tid := range affinities(t) {
			_ = unix.SchedSetaffinity(tid, &before)
		}
	})
	var threads sync.WaitGroup
	end := make(chan struct{})
	started := make(chan struct{})
	for range 40 {
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			started <- struct{}{}
			<-end
		})
	}
	<-started // the others start while threads are moved
	go func() {
		for range 39 {
			<-started
		}
	}()
	if err := proc.PinSelf(cores[0]); err != nil {
		t.Fatal(err)
	}
	var want unix.CPUSet
	want.Set(cores[0])
	for tid, set := range affinities(t) {
		if set != want {
			t.Errorf("thread %d may run elsewhere", tid)
		}
	}
	close(end)
	threads.Wait()
}
