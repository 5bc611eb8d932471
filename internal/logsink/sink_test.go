package logsink_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/logsink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writer is a writer whose fault a test chooses.
type writer struct {
	mu      sync.Mutex
	text    bytes.Buffer  // guarded by mu
	limit   int           // guarded by mu: bytes of each write that it takes; negative: all
	blocked chan struct{} // each write waits until it is closed
}

func newWriter() *writer {
	w := &writer{limit: -1, blocked: make(chan struct{})}
	close(w.blocked)
	return w
}

func (w *writer) Write(p []byte) (int, error) {
	<-w.blocked
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.limit >= 0 && len(p) > w.limit {
		w.text.Write(p[:w.limit])
		return w.limit, errors.New("no space left on device")
	}
	return w.text.Write(p)
}

func (w *writer) fail(limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

// log writes a line as a logger does.
func log(t *testing.T, s *logsink.Sink, line string) {
	t.Helper()
	if n, err := s.Write([]byte(line + "\n")); n != len(line)+1 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
}

func TestSink_writesInOrder(t *testing.T) {
	w := newWriter()
	s := logsink.Start(w)
	var want strings.Builder
	for i := range 10_000 {
		line := fmt.Sprintf("line %d", i)
		log(t, s, line)
		want.WriteString(line + "\n")
	}
	if err := s.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if diff := cmp.Diff(want.String(), w.text.String()); diff != "" {
		t.Error(diff)
	}
	if err := s.Close(time.Second); err != nil || s.Dropped() != 0 || s.Waiting() != 0 {
		t.Errorf("Close: %v, %d lines dropped, %d bytes wait", err, s.Dropped(), s.Waiting())
	}
}

// The reader of a pipe had stopped, and the logger waited for it while it held its lock: nothing that logs ever ended.
func TestSink_dropsWhileTheWriterIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter()
		w.blocked = make(chan struct{})
		s := logsink.Start(w)
		line := strings.Repeat("x", 999)
		const lines = logsink.Capacity/1000 + 500
		for range lines {
			log(t, s, line)
		}
		if waiting := s.Waiting(); waiting > logsink.Capacity || waiting < logsink.Capacity-1000 {
			t.Errorf("%d bytes wait", waiting)
		}
		if s.Dropped() != 500 {
			t.Errorf("%d lines are dropped, want 500", s.Dropped())
		}
		began := time.Now()
		if err := s.Sync(); err == nil || time.Since(began) > time.Second {
			t.Errorf("Sync: %v after %s", err, time.Since(began))
		}
		close(w.blocked)
		if err := s.Close(time.Second); err != nil {
			t.Errorf("Close: %v", err)
		}
		if written := strings.Count(w.text.String(), "\n"); written != lines-500 {
			t.Errorf("%d lines are written", written)
		}
	})
}

func TestSink_closesInTimeWhileTheWriterIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter()
		w.blocked = make(chan struct{})
		s := logsink.Start(w)
		log(t, s, "one")
		synctest.Wait() // the goroutine is writing it
		log(t, s, "two")
		began := time.Now()
		if err := s.Close(2 * time.Second); err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("Close: %v after %s", err, time.Since(began))
		}
		if s.Dropped() != 1 {
			t.Errorf("%d lines are dropped, want the one that nothing has taken", s.Dropped())
		}
		close(w.blocked) // the end of the process, for the goroutine
	})
}

// A full disk lost lines, and nothing counted them.
func TestSink_countsLinesThatTheWriterRefuses(t *testing.T) {
	w := newWriter()
	s := logsink.Start(w)
	step := func(line string) {
		t.Helper()
		log(t, s, line)
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	step("before")
	w.fail(0)
	step("lost")
	step("lost, too")
	w.fail(3)
	step("cut")
	step("short")
	w.fail(-1)
	step("after")
	if err := s.Close(time.Second); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff("before\ncut\nsho\nafter\n", w.text.String()); diff != "" {
		t.Error(diff)
	}
	if s.Dropped() != 4 {
		t.Errorf("%d lines are dropped, want 4", s.Dropped())
	}
}

func TestSink_allocatesNothingPerLine(t *testing.T) {
	s := logsink.Start(newWriter())
	defer s.Close(time.Second)
	line := []byte(strings.Repeat("x", 200) + "\n")
	if n := testing.AllocsPerRun(1000, func() { _, _ = s.Write(line) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
