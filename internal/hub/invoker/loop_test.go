package invoker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// newTestInvoker makes an Invoker that is not run.
func newTestInvoker(t *testing.T) *Invoker {
	t.Helper()
	i, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// newTestLoop makes a loop with two places that the test drives, behind the handshake.
func newTestLoop(t *testing.T) (l *loop, stop chan struct{}) {
	t.Helper()
	stop = make(chan struct{})
	l = newLoop(newTestInvoker(t), 2, stop)
	l.ctx, l.unread = t.Context(), nil
	return l, stop
}

// newTestCall makes a call for the test to pass to a loop itself.
func newTestCall(id string) *Call { return &Call{id: id, done: make(chan struct{})} }

// begun gives the loop a call that wants a record and reads its message.
func begun(t *testing.T, l *loop, id string) (c *Call, message string) {
	t.Helper()
	c = newTestCall(id)
	c.ID = "a"
	go func() { l.invoker.calls <- c }()
	p := make([]byte, 1024)
	n, err := l.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(p[:n])
}

func isDone(c *Call) bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func TestH1_writesAreFilteredAndNeverKept(t *testing.T) {
	l, _ := newTestLoop(t)
	c, message := begun(t, l, "1")
	if want := `{"type":1,"invocationId":"1","target":"Invoke","arguments":["1"]}` + "\x1e"; message != want {
		t.Errorf("message %q, want %q", message, want)
	}
	// The library may write these messages at any time, here from fifty goroutines.
	others := []string{
		"{}\x1e",              // H4
		`{"type":6}` + "\x1e", // H14
		`{"type":7,"error":"breaking loop","allowReconnect":true}` + "\x1e", // H15
		`{"type":3,"invocationId":"","error":"x"}` + "\x1e",
		`{"type":3,"invocationId":"0","result":1}` + "\x1e",
		`{"type":3,"invocationId":"11","result":1}` + "\x1e",
		`{"type":2,"invocationId":"1","item":1}` + "\x1e",
		"", "\x1e",
	}
	var writers sync.WaitGroup
	write := func(text string) {
		p := []byte(text)
		if n, err := l.Write(p); n != len(p) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		clear(p)
	}
	for range 50 {
		writers.Go(func() {
			for _, text := range others {
				write(text)
			}
		})
	}
	writers.Wait()
	if isDone(c) {
		t.Fatal("the call ended without its completion")
	}
	// H10: only the first completion counts.
	for n := range 50 {
		writers.Go(func() { write(fmt.Sprintf(`{"type":3,"invocationId":"1","result":%d}`+"\x1e", n)) })
	}
	writers.Wait()
	var record struct {
		Type         int
		InvocationID string
		Result       *int
	}
	err := json.Unmarshal(c.record, &record)
	if err != nil || record.Type != 3 || record.InvocationID != "a" || record.Result == nil {
		t.Errorf("record %s: %v", c.record, err)
	}
}

func TestH4_firstReadIsTheHandshakeAlone(t *testing.T) {
	l := newLoop(newTestInvoker(t), 1, nil)
	go func() { l.invoker.calls <- &Call{} }()
	l.ctx = t.Context()
	p := make([]byte, 32768)
	if n, err := l.Read(p); err != nil || string(p[:n]) != `{"protocol":"json","version":1}`+"\x1e" {
		t.Errorf("read %q, %v", p[:n], err)
	}
	<-l.invoker.calls
}

func TestH5_readEndsWithTheLoopAndNeverWithEOF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newTestLoop(t)
		ended := make(chan error)
		go func() {
			_, err := l.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		close(stop)
		for range 3 {
			if err := <-ended; err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read: %v", err)
			}
			go func() {
				n, err := l.Read(make([]byte, 1))
				if n != 0 {
					t.Errorf("read %d bytes", n)
				}
				ended <- err
			}()
		}
		if err := <-ended; err == nil {
			t.Error("Read goes on")
		}
	})
}

func TestH6_readHonoursTheBuffer(t *testing.T) {
	l, _ := newTestLoop(t)
	c := newTestCall("1")
	go func() { l.invoker.calls <- c }()
	want := `{"type":1,"invocationId":"1","target":"Invoke","arguments":["1"]}` + "\x1e"
	var got []byte
	for p := make([]byte, 7); len(got) < len(want); {
		n, err := l.Read(p)
		if err != nil || n == 0 {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		got = append(got, p[:n]...)
	}
	if string(got) != want {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestH9_waitingCallsAreReadTogetherUpToThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newTestLoop(t)
		first := newTestCall("1")
		go func() { l.invoker.calls <- first }()
		synctest.Wait()
		go func() { l.invoker.calls <- newTestCall("2") }()
		synctest.Wait()
		p := make([]byte, 1024)
		n, err := l.Read(p)
		if got := string(p[:n]); err != nil || strings.Count(got, "\x1e") != 2 {
			t.Errorf("read %q, %v, want two messages", got, err)
		}
		read := false
		go func() {
			begun(t, l, "3")
			read = true
		}()
		synctest.Wait()
		if read {
			t.Fatal("three calls in two places")
		}
		if _, err := l.Write([]byte(`{"type":3,"invocationId":"1","error":"x"}` + "\x1e")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !read || first.outcome != Invalid {
			t.Errorf("read %v, outcome %v", read, first.outcome)
		}
	})
}

func TestH19_loopStopsWhenItsCallsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newTestLoop(t)
		c, _ := begun(t, l, "1")
		stopped := false
		go func() {
			_, err := l.Read(make([]byte, 1))
			stopped = errors.Is(err, errStopped)
		}()
		close(stop)
		synctest.Wait()
		if stopped {
			t.Error("the loop stopped before its call had ended")
		}
		_, _ = l.Write([]byte(`{"type":3,"invocationId":"1","result":1}` + "\x1e"))
		synctest.Wait()
		if !stopped || !isDone(c) {
			t.Errorf("stopped %v, done %v", stopped, isDone(c))
		}
	})
}

func TestLoops_divideThePlacesEvenly(t *testing.T) {
	for total := range 200 {
		i := Invoker{places: total}
		sum := 0
		for _, places := range i.loops() {
			sum += places
			if places < 1 || places > maxPlaces {
				t.Errorf("%d places: a loop has %d", total, places)
			}
		}
		if sum != total {
			t.Errorf("%d places: the loops have %d", total, sum)
		}
	}
}

func TestH20_endedLoopFailsItsCalls(t *testing.T) {
	t.Run("BeforeTheMethod", func(t *testing.T) {
		l, _ := newTestLoop(t)
		c, _ := begun(t, l, "1")
		l.end()
		if !isDone(c) || c.outcome != Failed {
			t.Error("the call has not failed")
		}
		if l.begin(c.id) != nil {
			t.Error("the method got a call that has ended")
		}
	})
	t.Run("WhileTheMethodRuns", func(t *testing.T) {
		l, _ := newTestLoop(t)
		c, _ := begun(t, l, "1")
		if l.begin(c.id) != c {
			t.Fatal("the method got another call")
		}
		l.end()
		if isDone(c) {
			t.Fatal("the call ended before its method")
		}
		l.returned(c)
		if !isDone(c) || c.outcome != Failed {
			t.Error("the call has not failed")
		}
	})
	t.Run("BeforeTheCompletion", func(t *testing.T) {
		l, _ := newTestLoop(t)
		c, _ := begun(t, l, "1")
		l.begin(c.id)
		l.returned(c)
		l.end()
		if !isDone(c) || c.outcome != Failed {
			t.Error("the call has not failed")
		}
	})
	t.Run("BeforeItsReader", func(t *testing.T) {
		l, _ := newTestLoop(t)
		l.end()
		c := newTestCall("1")
		go func() { l.invoker.calls <- c }()
		if _, err := l.Read(make([]byte, 100)); err == nil {
			t.Error("the reader goes on")
		}
		if !isDone(c) || c.outcome != Failed {
			t.Error("the call has not failed")
		}
	})
}
