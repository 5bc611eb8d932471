//go:build unix

package node

import (
	"math"
	"syscall"
)

// descriptors returns how many files the process may open; 0: not known. Go has raised the limit to what it may be.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // bounded here; signed on some systems
}
