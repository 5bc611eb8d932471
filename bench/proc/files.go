package proc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseOpenFiles raises the limit of open files of this process and its children to want, or as far as the system
// allows, and returns the new limit.
func RaiseOpenFiles(want uint64) (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read limit of open files: %w", err)
	}
	if limit.Max < want {
		higher := unix.Rlimit{Cur: want, Max: want}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &higher) == nil { // needs a privilege
			return want, nil
		}
	}
	limit.Cur = min(want, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise limit of open files: %w", err)
	}
	return limit.Cur, nil
}
