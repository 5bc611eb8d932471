package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AnyCore leaves it to the kernel on which core a process runs.
const AnyCore = -1

// PinSelf moves all threads of this process to one core. Later threads inherit the core.
func PinSelf(core int) error {
	if core == AnyCore {
		return nil
	}
	if err := SpreadSelf([]int{core}); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	return nil
}

// SpreadSelf lets all threads of this process run on the given cores. Later threads inherit them.
func SpreadSelf(cores []int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	for {
		// A thread that starts meanwhile may be missing from the list, and may have inherited the old cores.
		moved, err := moveThreads(&set)
		if err != nil {
			return err
		}
		if moved == 0 {
			return nil
		}
	}
}

// moveThreads moves threads of this process to the cores of set. It returns the number of threads that it moved.
func moveThreads(set *unix.CPUSet) (moved int, err error) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("list threads: %w", err)
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			return moved, fmt.Errorf("thread id: %w", err)
		}
		var now unix.CPUSet
		switch err := unix.SchedGetaffinity(tid, &now); {
		case errors.Is(err, unix.ESRCH): // it has ended
			continue
		case err != nil:
			return moved, fmt.Errorf("read affinity: %w", err)
		case now == *set:
			continue
		}
		if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
			return moved, fmt.Errorf("move thread: %w", err)
		}
		moved++
	}
	return moved, nil
}

// onCore calls f on a thread that is pinned to a core. Processes that f starts inherit the core: the Go runtime of
// such a process has one core and runs one goroutine at a time.
func onCore(core int, f func() error) error {
	if core == AnyCore {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read affinity: %w", err)
	}
	set := coreSet(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	err := f()
	if restore := unix.SchedSetaffinity(0, &before); restore != nil && err == nil {
		return fmt.Errorf("restore affinity: %w", restore)
	}
	return err
}

func coreSet(core int) unix.CPUSet {
	var set unix.CPUSet
	set.Set(core)
	return set
}

// Cores returns the cores that this process may use.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	var cores []int
	for core := range 8 * int(unsafe.Sizeof(set)) {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}
