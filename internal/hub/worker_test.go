package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// idleLanes hold nothing.
type idleLanes struct{ Lanes }

// newTestPool makes the pool of a hub that is not run.
func newTestPool(t *testing.T) *pool {
	t.Helper()
	registry := subscriptions.NewRegistry()
	dispatcher, err := fanout.New(fanout.Options{Registry: registry, JSON: struct{ fanout.Encoder }{}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{
		Catalog: events.Builtin(), Authorizer: struct{ authz.Authorizer }{},
		Registry: registry, Dispatcher: dispatcher, Lanes: idleLanes{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.pool
}

// newTestWorker makes a worker whose loop the test plays, behind the handshake.
func newTestWorker(t *testing.T) (w *worker, stop chan struct{}) {
	t.Helper()
	stop = make(chan struct{})
	w = newWorker(newTestPool(t), 2, stop)
	w.ctx, w.unread = t.Context(), nil
	return w, stop
}

// newTestCall makes a call that goes past pool.do.
func newTestCall(t *testing.T, id string, m method) *call {
	t.Helper()
	return &call{id: id, ctx: t.Context(), method: m, done: make(chan struct{})}
}

// begun gives the worker a call that wants a record and reads its message.
func begun(t *testing.T, w *worker, id string) (c *call, message string) {
	t.Helper()
	c = newTestCall(t, id, methodSubscribe)
	c.head = completionHead("a")
	go func() { w.pool.calls <- c }()
	p := make([]byte, 1024)
	n, err := w.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(p[:n])
}

func isDone(c *call) bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func TestH1WritesAreFilteredAndNeverKept(t *testing.T) {
	w, _ := newTestWorker(t)
	c, message := begun(t, w, "1")
	if want := `{"type":1,"invocationId":"1","target":"Subscribe","arguments":["1"]}` + "\x1e"; message != want {
		t.Errorf("message %q, want %q", message, want)
	}
	// What the library may write at any time, from fifty goroutines.
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
		if n, err := w.Write(p); n != len(p) || err != nil {
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
	if err := json.Unmarshal(c.record, &record); err != nil || record.Type != 3 || record.InvocationID != "a" || record.Result == nil {
		t.Errorf("record %s: %v", c.record, err)
	}
}

func TestH4FirstReadIsTheHandshakeAlone(t *testing.T) {
	w := newWorker(newTestPool(t), 1, nil)
	go func() { w.pool.calls <- &call{method: methodUnsubscribeAll} }()
	w.ctx = t.Context()
	p := make([]byte, 32768)
	if n, err := w.Read(p); err != nil || string(p[:n]) != `{"protocol":"json","version":1}`+"\x1e" {
		t.Errorf("read %q, %v", p[:n], err)
	}
	<-w.pool.calls
}

func TestH5ReadEndsWithTheWorkerAndNeverWithEOF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := newTestWorker(t)
		ended := make(chan error)
		go func() {
			_, err := w.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		close(stop)
		for range 3 {
			if err := <-ended; err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read: %v", err)
			}
			go func() {
				n, err := w.Read(make([]byte, 1))
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

func TestH6ReadHonoursTheBuffer(t *testing.T) {
	w, _ := newTestWorker(t)
	c := newTestCall(t, "1", methodUnsubscribe)
	go func() { w.pool.calls <- c }()
	want := `{"type":1,"invocationId":"1","target":"Unsubscribe","arguments":["1"]}` + "\x1e"
	var got []byte
	for p := make([]byte, 7); len(got) < len(want); {
		n, err := w.Read(p)
		if err != nil || n == 0 {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		got = append(got, p[:n]...)
	}
	if string(got) != want {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestH9CallsThatWaitAreReadTogetherAsFarAsThereArePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newTestWorker(t)
		first := newTestCall(t, "1", methodUnsubscribeAll)
		go func() { w.pool.calls <- first }()
		synctest.Wait()
		go func() { w.pool.calls <- newTestCall(t, "2", methodActiveSubscriptions) }()
		synctest.Wait()
		p := make([]byte, 1024)
		n, err := w.Read(p)
		if got := string(p[:n]); err != nil || strings.Count(got, "\x1e") != 2 {
			t.Errorf("read %q, %v, want two messages", got, err)
		}
		read := false
		go func() {
			begun(t, w, "3")
			read = true
		}()
		synctest.Wait()
		if read {
			t.Fatal("three calls in two places")
		}
		if _, err := w.Write([]byte(`{"type":3,"invocationId":"1","error":"x"}` + "\x1e")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !read || first.outcome != outcomeInvalid {
			t.Errorf("read %v, outcome %v", read, first.outcome)
		}
	})
}

func TestH19WorkerStopsWhenItsCallsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := newTestWorker(t)
		c, _ := begun(t, w, "1")
		stopped := false
		go func() {
			_, err := w.Read(make([]byte, 1))
			stopped = errors.Is(err, errStopped)
		}()
		close(stop)
		synctest.Wait()
		if stopped {
			t.Error("the worker stopped before its call had ended")
		}
		_, _ = w.Write([]byte(`{"type":3,"invocationId":"1","result":1}` + "\x1e"))
		synctest.Wait()
		if !stopped || !isDone(c) {
			t.Errorf("stopped %v, done %v", stopped, isDone(c))
		}
	})
}

func TestPoolSharesItsPlacesOutAmongWorkers(t *testing.T) {
	for total := range 200 {
		p := pool{options: &Options{Pool: total}}
		sum := 0
		for _, places := range p.workers() {
			sum += places
			if places < 1 || places > maxPlaces {
				t.Errorf("%d places: a worker has %d", total, places)
			}
		}
		if sum != total {
			t.Errorf("%d places: workers have %d", total, sum)
		}
	}
}

func TestH20LoopThatEnds(t *testing.T) {
	t.Run("BeforeTheMethod", func(t *testing.T) {
		w, _ := newTestWorker(t)
		c, _ := begun(t, w, "1")
		w.end()
		if !isDone(c) || c.outcome != outcomeFailed {
			t.Error("the call has not failed")
		}
		if w.begin(c.id) != nil {
			t.Error("the method got a call that has ended")
		}
	})
	t.Run("WhileTheMethodRuns", func(t *testing.T) {
		w, _ := newTestWorker(t)
		c, _ := begun(t, w, "1")
		if w.begin(c.id) != c {
			t.Fatal("the method got another call")
		}
		w.end()
		if isDone(c) {
			t.Fatal("the call ended before its method")
		}
		w.returned(c)
		if !isDone(c) || c.outcome != outcomeFailed {
			t.Error("the call has not failed")
		}
	})
	t.Run("BeforeTheCompletion", func(t *testing.T) {
		w, _ := newTestWorker(t)
		c, _ := begun(t, w, "1")
		w.begin(c.id)
		w.returned(c)
		w.end()
		if !isDone(c) || c.outcome != outcomeFailed {
			t.Error("the call has not failed")
		}
	})
	t.Run("BeforeItsReader", func(t *testing.T) {
		w, _ := newTestWorker(t)
		w.end()
		c := newTestCall(t, "1", methodUnsubscribeAll)
		go func() { w.pool.calls <- c }()
		if _, err := w.Read(make([]byte, 100)); err == nil {
			t.Error("the reader goes on")
		}
		if !isDone(c) || c.outcome != outcomeFailed {
			t.Error("the call has not failed")
		}
	})
}

func TestSessionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Session{}); size > 96 {
		t.Errorf("a session has %d bytes", size)
	}
}

// FuzzReadRequests compares what is read in one pass with what encoding/json reads.
func FuzzReadRequests(f *testing.F) {
	const guid = `"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"`
	for _, seed := range []string{
		"[]", "[null]", `[{"EntityId":"x","EventName":"y"}]`, " [ ] ", "[]]", "[\x1e]", `["\u001e"]`, "[[[[[[]]]]]]", "{", "", "[{}]",
		`["\\"]`, `["\""]`, "[\xff]", "[\"\xff\"]", "[1e999]", `[{"a":1,"a":2}]`, `[{"EntityId":"\xff"}]`, `[{"EntityId":"a"},]`,
		` [ { "ENTITYID" : ` + guid + ` , "eventname" : "UserStatus" } , {"eventName":"a","EventName":"b"} ] ` + "\n",
		`[{"EntityId":"\u0041","EventName":"ä"}]`, `[{"EntityId":null}]`, `[{"EntityId":1}]`, `[{"EntityId":"a"}{}]`, `[{"x":"y",}]`,
		`[{"entit\u017fid":"a"}]`, "[{\"EntityId\":\"\x7f\"}]", `[{"More":{"deep":[1]}}]`, `[{"EntityId":"a"`, `[{"EntityId":"a"}] x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want []authz.Request
		wanted := isList(text) && json.Unmarshal(text, &want) == nil
		got, ok := readRequests(text)
		if ok != wanted {
			t.Fatalf("%q: read %v, want %v", text, ok, wanted)
		}
		if ok && !slices.Equal(got, want) {
			t.Fatalf("%q: read %q, want %q", text, got, want)
		}
	})
}

func TestReadRequests_ManyItemsTakeTwoAllocations(t *testing.T) {
	text := []byte("[" + strings.Repeat(`{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"UserStatus"},`, 19) +
		`{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"UserStatus"}]`)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = readRequests(text) }); allocs != 2 {
		t.Errorf("allocated %v times, want 2", allocs)
	}
}
