package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ErrFormat says that a file in /proc does not look as proc(5) describes it.
var ErrFormat = errors.New("unexpected format")

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU is the time that the server's threads have run, in user and in kernel mode, steps of 10 ms. Delivering
// to a loopback socket happens inside the writer's system call, so the server pays for the receiver's half of TCP.
func (s *Server) CPU() (time.Duration, error) { return cpu(s.PID()) }

// SelfCPU is CPU for this process.
func SelfCPU() (time.Duration, error) { return cpu(os.Getpid()) }

func cpu(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	// The second field is the command in parentheses and may hold spaces.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const user, system = 14 - 3, 15 - 3 // fields 14 and 15; the first after the command is number 3
	if len(fields) <= system {
		return 0, fmt.Errorf("stat of process %d: %w", pid, ErrFormat)
	}
	var ticks int64
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat of process %d: %w", pid, ErrFormat)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// RSS is the resident memory of the server in bytes.
func (s *Server) RSS() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.PID()))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm of process %d: %w", s.PID(), ErrFormat)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("statm of process %d: %w", s.PID(), ErrFormat)
	}
	return pages * int64(os.Getpagesize()), nil
}
