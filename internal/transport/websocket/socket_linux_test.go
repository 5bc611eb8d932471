package websocket

import (
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// kernelBytes returns the memory that the kernel holds for the bytes that a socket has not delivered: wmem_queued of
// SO_MEMINFO.
func kernelBytes(t testing.TB, s *Socket) int {
	t.Helper()
	const soMeminfo, wmemQueued = 55, 5
	var info [9]uint32
	size := uint32(unsafe.Sizeof(info))
	if _, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(s.fd), syscall.SOL_SOCKET, soMeminfo,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		t.Fatal(errno)
	}
	return int(info[wmemQueued])
}

// fill writes until the socket is full, and returns how many bytes it took.
func fill(t testing.TB, s *Socket, chunk []byte) (taken int) {
	t.Helper()
	for {
		n, err := s.TryWrite(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; n < len(chunk) {
			return taken
		}
	}
}

// saturate writes until the socket stays full, and returns how many bytes it took. The kernel there confirms them up
// to 40 ms later, which makes room. kept is the most that the kernel of this end may keep then.
func saturate(t testing.TB, s *Socket, chunk []byte, kept int) (taken int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		n := fill(t, s, chunk)
		taken += n
		if n == 0 && kernelBytes(t, s) <= kept {
			return taken
		}
		if time.Now().After(deadline) {
			t.Fatalf("the socket took %d KB, and the kernel keeps %d KB", taken>>10, kernelBytes(t, s)>>10)
		}
	}
}

// The kernel kept 4 MB for a client that did not read: old states in front of those that newer ones replace. 1,000 such
// clients took 4 GB.
func TestSocket_kernelKeepsLittleForAFrozenPeer(t *testing.T) {
	for name, size := range map[string]int{"a kilobyte": 1 << 10, "a whole write": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			s, _ := pair(t)
			// The kernel of the peer takes some 120 KB of it.
			if taken := saturate(t, s, make([]byte, size), 64<<10); taken > 256<<10 {
				t.Errorf("the socket took %d KB", taken>>10)
			}
		})
	}
}

// BenchmarkSocket_frozenPeers reports the kernel's memory for each of 1,000 peers that do not read.
func BenchmarkSocket_frozenPeers(b *testing.B) {
	const peers = 1000
	chunk := make([]byte, 1<<10)
	for b.Loop() {
		var sockets []*Socket
		for range peers {
			s, _ := pair(b)
			fill(b, s, chunk)
			sockets = append(sockets, s)
		}
		kept := 0
		for _, s := range sockets {
			saturate(b, s, chunk, 64<<10)
			kept += kernelBytes(b, s)
		}
		b.ReportMetric(float64(kept)/peers, "kernel-B/peer")
	}
}
