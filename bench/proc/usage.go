package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ErrFormat is the error of a file in /proc that is not as in proc(5).
var ErrFormat = errors.New("unexpected format")

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// Times is the CPU time of threads, in steps of 10 ms.
type Times struct {
	User, System time.Duration
}

// Total returns the sum. It is exact; the division between user and system is sampled by the kernel's timer.
func (t Times) Total() time.Duration { return t.User + t.System }

// Sub returns the time used since before.
func (t Times) Sub(before Times) Times { return Times{t.User - before.User, t.System - before.System} }

// CPU returns the CPU time of the server. Delivery to a loopback socket happens inside the system call of the writer,
// so the server pays for the receiver's half of TCP.
func (s *Server) CPU() (Times, error) { return cpu(s.PID()) }

// SelfCPU returns the CPU time of this process.
func SelfCPU() (Times, error) { return cpu(os.Getpid()) }

func cpu(pid int) (Times, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Times{}, fmt.Errorf("read CPU time: %w", err)
	}
	// The second field is the command in parentheses and may hold spaces.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const user, system = 14 - 3, 15 - 3 // fields 14 and 15; the first after the command is number 3
	if len(fields) <= system {
		return Times{}, fmt.Errorf("stat of process %d: %w", pid, ErrFormat)
	}
	u, err1 := ticks(fields[user])
	s, err2 := ticks(fields[system])
	return Times{u, s}, errors.Join(err1, err2)
}

// CoreBusy returns how long a core, or with AnyCore all of them together, has not been idle, for any process.
func CoreBusy(core int) (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read core time: %w", err)
	}
	name := fmt.Appendf(nil, "cpu%d ", core)
	if core == AnyCore {
		name = []byte("cpu ")
	}
	for line := range bytes.Lines(data) {
		rest, ok := bytes.CutPrefix(line, name)
		if !ok {
			continue
		}
		// user nice system idle iowait irq softirq steal; the first two contain the remaining fields
		fields := bytes.Fields(rest)
		if len(fields) < 8 {
			return 0, fmt.Errorf("stat of core %d: %w", core, ErrFormat)
		}
		var busy time.Duration
		for i, field := range fields[:8] {
			t, err := ticks(field)
			if err != nil {
				return 0, err
			}
			if i != 3 && i != 4 {
				busy += t
			}
		}
		return busy, nil
	}
	return 0, fmt.Errorf("no core %d: %w", core, ErrFormat)
}

func ticks(field []byte) (time.Duration, error) {
	n, err := strconv.ParseInt(string(field), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return time.Duration(n) * clockTick, nil
}

// RSS returns the resident memory of the server in bytes.
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
