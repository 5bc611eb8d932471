package proc_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rte-server/rte-server/bench/proc"
)

func start(t *testing.T, maxRSS int64, script string) *proc.Server {
	t.Helper()
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	s, err := proc.Start(t.Context(), proc.Spec{
		Path: "/bin/sh", Args: []string{"-c", script}, Core: cores[len(cores)-1], Output: io.Discard, MaxRSS: maxRSS,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServer_measuresCPU(t *testing.T) {
	s := start(t, 0, "while :; do :; done")
	defer s.Stop()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		used, err := s.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if used.Total() >= 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a loop has used %v", used)
		}
	}
	if rss, err := s.RSS(); err != nil || rss < 100<<10 {
		t.Errorf("a shell uses %d bytes, %v", rss, err)
	}
}

func TestServer_isKilledWhenTooLarge(t *testing.T) {
	s := start(t, 1, "exec sleep 60")
	<-s.Done()
	if err := s.Err(); !errors.Is(err, proc.ErrTooLarge) || !errors.Is(err, proc.ErrExited) {
		t.Errorf("the server ended with %v", err)
	}
}

func TestStop_killsAServerThatIgnoresTheSignal(t *testing.T) {
	s := start(t, 0, "trap '' TERM; echo; while :; do sleep 0.1; done")
	s.Stop()
	select {
	case <-s.Done():
	default:
		t.Error("the server runs after Stop")
	}
}

func TestWaitListening_reportsAnExit(t *testing.T) {
	s := start(t, 0, "exit 3")
	defer s.Stop()
	if err := s.WaitListening(t.Context(), "127.0.0.1:1"); !errors.Is(err, proc.ErrExited) {
		t.Errorf("waiting for a server that has ended returned %v", err)
	}
}

func TestCoreBusy_readsTheCore(t *testing.T) {
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	if busy, err := proc.CoreBusy(cores[0]); err != nil || busy <= 0 {
		t.Errorf("core %d has been busy for %v, %v", cores[0], busy, err)
	}
	if _, err := proc.CoreBusy(1 << 20); !errors.Is(err, proc.ErrFormat) {
		t.Errorf("a core that does not exist: %v", err)
	}
}
