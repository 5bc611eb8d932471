package audit

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// jump is by how much clocks are set in the audit.
const jump = 90 * time.Second

// A Go program reads the clock in the vDSO, without the C library and without a system call, so nothing outside of the
// process can change what it reads. The test therefore writes into the memory of the process, as a debugger does: the
// variable with the address of the function of the vDSO gets that of a few instructions, which call this function and
// add a number to the seconds of the wall clock. The monotonic clock stays as it is, as when an operator sets the
// clock. The instructions lie in a function of the runtime that is needed at the start only.
const (
	clockVariable = "runtime.vdsoClockgettimeSym"
	clockPlace    = "runtime.vdsoParseSymbols"
)

// nodeClock is the wall clock of the process of a node.
type nodeClock struct {
	pid             int
	variable, place uint64 // addresses
}

// mustFindClock returns the clock of a process of the program at path.
func mustFindClock(t *testing.T, path string, pid int) nodeClock {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Fatal("the instructions that change the clock of a node are those of amd64")
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	c := nodeClock{pid: pid}
	for _, s := range symbols {
		switch {
		case s.Name == clockVariable:
			c.variable = s.Value
		case s.Name == clockPlace && s.Size >= 128:
			c.place = s.Value
		}
	}
	if c.variable == 0 || c.place == 0 {
		t.Fatalf("this version of Go has no %s, or no %s", clockVariable, clockPlace)
	}
	return c
}

// set sets the clock to that of the machine and by. The process stands still meanwhile.
func (c nodeClock) set(by time.Duration) (err error) {
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	if err := c.freeze(); err != nil {
		return err
	}
	defer func() {
		if failure := syscall.Kill(c.pid, syscall.SIGCONT); err == nil {
			err = failure
		}
	}()
	var address [8]byte
	if _, err := memory.ReadAt(address[:], int64(c.variable)); err != nil {
		return err
	}
	number := c.place
	begin := number + 8 // of the instructions
	if original := binary.LittleEndian.Uint64(address[:]); original != begin {
		code := clockInstructions(original, number)
		if _, err := memory.WriteAt(code, int64(begin)); err != nil {
			return err
		}
	}
	seconds := binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second))
	if _, err := memory.WriteAt(seconds, int64(number)); err != nil {
		return err
	}
	_, err = memory.WriteAt(binary.LittleEndian.AppendUint64(nil, begin), int64(c.variable))
	return err
}

// freeze stops the process, and waits until it stands still.
func (c nodeClock) freeze() error {
	if err := syscall.Kill(c.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for { // the process is a child: the kernel reports when all its threads have stopped
		var status syscall.WaitStatus
		switch _, err := syscall.Wait4(c.pid, &status, syscall.WUNTRACED, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return err
		case !status.Stopped():
			return fmt.Errorf("process %d has ended", c.pid)
		default:
			return nil
		}
	}
}

// clockInstructions returns a function like clock_gettime. It calls the one at original, and adds the number at an
// address to the seconds if the clock is the wall clock.
func clockInstructions(original, number uint64) (code []byte) {
	code = append(code,
		0x57,                   // push rdi: the clock
		0x56,                   // push rsi: the result
		0x48, 0x83, 0xec, 0x08, // sub rsp, 8
		0x48, 0xb8) // mov rax, original
	code = binary.LittleEndian.AppendUint64(code, original)
	code = append(code,
		0xff, 0xd0, // call rax
		0x48, 0x83, 0xc4, 0x08, // add rsp, 8
		0x5e,       // pop rsi
		0x5f,       // pop rdi
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x10, // jne to ret
		0x48, 0xb9) // mov rcx, number
	code = binary.LittleEndian.AppendUint64(code, number)
	return append(code,
		0x48, 0x8b, 0x09, // mov rcx, [rcx]
		0x48, 0x01, 0x0e, // add [rsi], rcx
		0xc3) // ret
}

// setNodeClock sets the clock of the first node, and waits until the node has it.
func (d *deployment) setNodeClock(by time.Duration) {
	d.t.Helper()
	if by != 0 {
		d.rec.skew.Store(int64(by))
	}
	n := d.nodes[0]
	if err := mustFindClock(d.t, programs.MustBuild(d.t, "."), n.PID()).set(by); err != nil {
		d.t.Fatalf("set the clock of a node: %v", err)
	}
	d.waitFor("the clock of a node", func() bool {
		response, err := d.publish.http.Get(n.ConsoleURL + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		at, err := http.ParseTime(response.Header.Get("Date"))
		return err == nil && (time.Until(at)-by).Abs() < 10*time.Second
	})
}

// setRedisClock sets the clock of Redis.
func (d *deployment) setRedisClock(by time.Duration) { d.redis.SetClock(by) }

// setClock returns a fault that sets a clock, cuts the subscribers off, sets the clock back, and cuts them off again:
// each loss is one while the clock is off, or one during which it is set.
func setClock(set func(*deployment, time.Duration), by time.Duration) func(*deployment) {
	return func(d *deployment) {
		d.t.Helper()
		set(d, by)
		lasts(5 * time.Second)
		d.killSubscribers()
		lasts(5 * time.Second)
		d.killSubscribers()
		set(d, 0)
		lasts(5 * time.Second)
		d.killSubscribers()
	}
}
