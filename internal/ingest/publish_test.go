package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/ingest"
)

// shelf has a Take that records events. It refuses events that contain "bad". While full is set, it returns that error.
type shelf struct {
	mu    sync.Mutex
	taken []string // guarded by mu
	full  error    // guarded by mu
	room  int      // guarded by mu; number of events before it is full; negative: any
}

func (s *shelf) take(_ context.Context, batch [][]byte) (errs []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs = make([]error, len(batch))
	for i, event := range batch {
		switch {
		case bytes.Contains(event, []byte("bad")):
			errs[i] = ingest.Refused{Reason: "no_event"}
		case s.full != nil && s.room == 0:
			errs[i] = s.full
		default:
			s.taken = append(s.taken, string(event))
			s.room--
		}
	}
	return errs
}

// mustNew makes a handler.
func mustNew(t testing.TB, o ingest.Options) http.Handler {
	t.Helper()
	h, err := ingest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// newReceipts makes receipts in memory.
func newReceipts() ingest.Receipts {
	return backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: noSubscribers{}})
}

// newPublishServer makes a handler that publishes to s.
func newPublishServer(t *testing.T, s *shelf, reg *prometheus.Registry) http.Handler {
	t.Helper()
	memory := backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: noSubscribers{}})
	return mustNew(t, ingest.Options{
		Take: s.take, Receipts: memory, Window: time.Minute, Timeout: 5 * time.Second, MaxBytes: 1 << 20, MaxEvent: 100,
		Registerer: reg,
	})
}

type noSubscribers struct{}

func (noSubscribers) Dispatch(*events.Event) {}

// Wants implements backplane.Sink.
func (noSubscribers) Wants(events.Topic) bool { return false }

// Offer implements backplane.Sink.
func (noSubscribers) Offer(*events.Event) bool { return true }

// publish sends a body, with an Idempotency-Key if it is not empty.
func publish(s http.Handler, body io.Reader, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost/api/publish", body)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// requests returns the number of counted requests with an outcome.
func requests(t *testing.T, reg *prometheus.Registry, outcome string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "rte_console_publish_requests_total" && m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestPublish_readsBodies(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", 200_000) + `"}`
	for name, test := range map[string]struct {
		body   string
		status int
		answer string
		taken  string // joined by spaces
	}{
		"one line": {`{"a":1}`, 200, `{"published":1,"refused":0}`, `{"a":1}`},
		"lines":    {"{\"a\":1}\n{\"a\":2}\r\n", 200, `{"published":2,"refused":0}`, `{"a":1} {"a":2}`},
		"blank lines count": {
			"\n{\"a\":1}\n\n\"bad\"\n", 207, `{"published":1,"refused":1,"refusals":[{"line":4,"error":"no_event"}]}`,
			`{"a":1}`,
		},
		"nothing":           {"", 200, `{"published":0,"refused":0}`, ``},
		"nothing but space": {" \n\t\r\n", 200, `{"published":0,"refused":0}`, ``},
		"all refused": {
			"bad\nbad", 400,
			`{"published":0,"refused":2,"refusals":[{"line":1,"error":"no_event"},{"line":2,"error":"no_event"}]}`, ``,
		},
		"line too long": {
			long + "\n{\"a\":1}", 207, `{"published":1,"refused":1,"refusals":[{"line":1,"error":"too_large"}]}`, `{"a":1}`,
		},
		"last line too long": {
			"{\"a\":1}\n" + long, 207, `{"published":1,"refused":1,"refusals":[{"line":2,"error":"too_large"}]}`, `{"a":1}`,
		},
		"line a little too long": {
			strings.Repeat("x", 101), 400, `{"published":0,"refused":1,"refusals":[{"line":1,"error":"too_large"}]}`, ``,
		},
		"line of the greatest size": {strings.Repeat("x", 100), 200, `{"published":1,"refused":0}`, strings.Repeat("x", 100)},
		"array": {
			"\n [ {\"a\":[1,\"]\"]} ,\n{\"b\":\"\\\"}\"}] \n", 200, `{"published":2,"refused":0}`, `{"a":[1,"]"]} {"b":"\"}"}`,
		},
		"empty array": {" [ ] ", 200, `{"published":0,"refused":0}`, ``},
		"array with a refusal": {
			`[{"a":1},"bad"]`, 207, `{"published":1,"refused":1,"refusals":[{"line":2,"error":"no_event"}]}`, `{"a":1}`,
		},
		"array, element too long": {
			`[` + long + `,{"a":1}]`, 207, `{"published":1,"refused":1,"refusals":[{"line":1,"error":"too_large"}]}`, `{"a":1}`,
		},
		"array that does not end": {
			`[{"a":1},{"a":2}`, 400,
			`{"published":1,"refused":0,"error":"the body is neither lines of JSON nor one array of objects","line":2}`,
			`{"a":1}`,
		},
		"array with a hole": {
			`[{"a":1},,{"a":2}]`, 400,
			`{"published":1,"refused":0,"error":"the body is neither lines of JSON nor one array of objects","line":2}`,
			`{"a":1}`,
		},
		"something behind an array": {
			`[{"a":1}]x`, 400,
			`{"published":1,"refused":0,"error":"the body is neither lines of JSON nor one array of objects","line":2}`,
			`{"a":1}`,
		},
		"too large": {
			strings.Repeat("\n", 2<<20), 413, `{"published":0,"refused":0,"error":"the body is longer than 1048576 bytes"}`, ``,
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Whole, and a byte at a time.
			for _, body := range []io.Reader{strings.NewReader(test.body), oneByte{strings.NewReader(test.body)}} {
				s := &shelf{}
				w := publish(newPublishServer(t, s, prometheus.NewRegistry()), body, "")
				if _, whole := body.(*strings.Reader); !whole && w.Code == 413 {
					continue // the error comes later, and the answer then has a line
				}
				if got := strings.TrimSpace(w.Body.String()); w.Code != test.status || got != test.answer {
					t.Errorf("answered %d %.300s, want %d %s", w.Code, got, test.status, test.answer)
				}
				if got := strings.Join(s.taken, " "); got != test.taken {
					t.Errorf("took %.300s, want %s", got, test.taken)
				}
			}
		})
	}
}

// oneByte reads a byte at a time and hides the length of the body.
type oneByte struct{ from io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.from.Read(p[:min(len(p), 1)]) }

func TestPublish_keepsOrderOfManyEvents(t *testing.T) {
	var body, want strings.Builder
	for i := range 20_000 {
		line, _ := json.Marshal(map[string]int{"n": i})
		body.Write(line)
		body.WriteByte('\n')
		want.Write(line)
	}
	s := &shelf{}
	w := publish(newPublishServer(t, s, prometheus.NewRegistry()), strings.NewReader(body.String()), "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"published":20000,`) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if strings.Join(s.taken, "") != want.String() {
		t.Error("what was taken is not what was sent")
	}
}

func TestPublish_boundsRefusals(t *testing.T) {
	w := publish(
		newPublishServer(t, &shelf{}, prometheus.NewRegistry()), strings.NewReader(strings.Repeat("bad\n", 1000)), "",
	)
	if n := strings.Count(
		w.Body.String(), `"line"`,
	); w.Code != 400 || n != 100 || !strings.Contains(w.Body.String(), `"refused":1000`) {
		t.Errorf("answered %d with %d refusals", w.Code, n)
	}
}

func TestPublish_checksHeaders(t *testing.T) {
	s := newPublishServer(t, &shelf{}, prometheus.NewRegistry())
	for name, test := range map[string]struct {
		header, value string
		status        int
	}{
		"compressed":               {"Content-Encoding", "gzip", 415},
		"key with spaces":          {"Idempotency-Key", "a b", 400},
		"long key":                 {"Idempotency-Key", strings.Repeat("x", 129), 400},
		"longest key":              {"Idempotency-Key", strings.Repeat("x", 128), 200},
		"key with DEL":             {"Idempotency-Key", "a\x7f", 400},
		"key beyond ASCII":         {"Idempotency-Key", "é", 400},
		"first and last character": {"Idempotency-Key", "!~", 200},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/api/publish", strings.NewReader("{}"))
		r.Header.Set(test.header, test.value)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: answered %d %s, want %d", name, w.Code, w.Body, test.status)
		}
	}
}

func TestPublish_continuesAfterFailure(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s := &shelf{full: errors.New("backplane unavailable"), room: 2}
	server := newPublishServer(t, s, reg)
	w := publish(server, strings.NewReader("1\n2\nbad\n4\n5\n"), "a key")
	if w.Code != 400 {
		t.Errorf("a key with a space: %d", w.Code)
	}
	w = publish(server, strings.NewReader("1\n2\nbad\n4\n5\n"), "key")
	want := `{"published":2,"refused":1,"refusals":[{"line":3,"error":"no_event"}],"error":"backplane unavailable",` +
		`"line":4}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 503 || got != want || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d %s", w.Code, got)
	}

	// A retry continues where the request stopped, once.
	s.full = nil
	want = `{"published":4,"refused":1,"refusals":[{"line":3,"error":"no_event"}]}`
	for i := range 3 {
		w = publish(server, strings.NewReader("1\n2\nbad\n4\n5\n"), "key")
		if got := strings.TrimSpace(w.Body.String()); w.Code != 207 || got != want {
			t.Errorf("answered %d %s", w.Code, got)
		}
		if replayed := w.Header().Get("Idempotency-Replayed") != ""; replayed != (i > 0) {
			t.Errorf("try %d: replayed is %t", i, replayed)
		}
	}
	if got := strings.Join(s.taken, " "); got != "1 2 4 5" {
		t.Errorf("took %s", got)
	}
	publish(server, strings.NewReader("6"), "another key")
	for line, want := range map[string]float64{"done": 3, "mistake": 2, "unavailable": 1} {
		if got := requests(t, reg, line); got != want {
			t.Errorf("%s: %v requests are counted, want %v", line, got, want)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("names of metrics: %v %v", problems, err)
	}
}

// TestPublish_refusesRunningTwin checks the answer to a request while another one with its key is running, and after
// the result of that one has expired.
func TestPublish_refusesRunningTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		server := newPublishServer(t, s, prometheus.NewRegistry())
		body, more := io.Pipe()
		first := make(chan int, 1)
		go func() { first <- publish(server, body, "key").Code }()
		_, _ = io.WriteString(more, "\n") // it begins with its body
		synctest.Wait()
		if w := publish(server, strings.NewReader("1"), "key"); w.Code != 409 || w.Header().Get("Retry-After") == "" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		_, _ = io.WriteString(more, "1\n")
		_ = more.Close()
		if status := <-first; status != 200 {
			t.Errorf("the first one: %d", status)
		}
		publish(server, strings.NewReader("1"), "key")
		if len(s.taken) != 1 {
			t.Errorf("took %v", s.taken)
		}
		time.Sleep(61 * time.Second) // longer than Window
		publish(server, strings.NewReader("1"), "key")
		if len(s.taken) != 2 {
			t.Errorf("took %v", s.taken)
		}
	})
}

// TestPublish_waitsForRoom checks that a request waits for a backplane without room until its time limit.
func TestPublish_waitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := func(ctx context.Context, batch [][]byte) []error {
			<-ctx.Done()
			return []error{ctx.Err()}
		}
		server := mustNew(t, ingest.Options{
			Take: busy, Receipts: newReceipts(), Timeout: 5 * time.Second, MaxBytes: 1 << 20, MaxEvent: 100,
		})
		began := time.Now()
		answers := make(chan int)
		const requests = 200 // more than may publish at a time
		for range requests {
			go func() {
				w := publish(server, strings.NewReader("1"), "")
				if got := w.Body.String(); !strings.Contains(got, `"line":1`) || !strings.Contains(got, `"error":`) {
					t.Errorf("answered %s", got)
				}
				answers <- w.Code
			}()
		}
		for range requests {
			if status := <-answers; status != 503 {
				t.Errorf("answered %d", status)
			}
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// Requests whose bodies did not arrive took all places, and others waited for their time limit.
func TestPublish_passesStalledBodies(t *testing.T) {
	for name, begin := range map[string]string{"before the first byte": "", "in the middle": "{}\n{"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newPublishServer(t, &shelf{}, prometheus.NewRegistry())
				var stalled sync.WaitGroup
				var bodies []*io.PipeWriter
				for range 100 { // more than may publish at a time
					body, more := io.Pipe()
					bodies = append(bodies, more)
					stalled.Go(func() { publish(server, body, "") })
					if begin != "" {
						_, _ = io.WriteString(more, begin)
					}
				}
				synctest.Wait()
				began := time.Now()
				if w := publish(server, strings.NewReader("{}"), ""); w.Code != 200 || time.Since(began) > time.Second {
					t.Errorf("answered %d after %s", w.Code, time.Since(began))
				}
				for _, more := range bodies {
					_ = more.Close()
				}
				stalled.Wait()
			})
		})
	}
}

// TestPublish_limitsSlowBody checks that a request whose body stalls ends at its time limit.
func TestPublish_limitsSlowBody(t *testing.T) {
	s := &shelf{}
	server := httptest.NewServer(
		mustNew(t, ingest.Options{
			Take: s.take, Receipts: newReceipts(), Timeout: 100 * time.Millisecond, MaxBytes: 1 << 20, MaxEvent: 100,
		}),
	)
	defer server.Close()
	body, more := io.Pipe()
	defer more.Close()
	go func() { _, _ = io.WriteString(more, "1\n2") }()
	//nolint:noctx // the server ends it
	response, err := http.Post(server.URL+"/api/publish", "application/x-ndjson", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if want := `{"published":1,"refused":0,"error":"the body took too long","line":2}`; response.StatusCode != 408 ||
		strings.TrimSpace(string(answer)) != want {
		t.Errorf("answered %d %s", response.StatusCode, answer)
	}
}

// BenchmarkPublish publishes small events without subscribers, without a network.
func BenchmarkPublish(b *testing.B) {
	memory := backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: noSubscribers{}})
	server := mustNew(b,
		ingest.Options{
			Take: memory.PublishBatch, Receipts: memory, Timeout: time.Minute, MaxBytes: 16 << 20, MaxEvent: 64 << 10,
		},
	)
	const line = `{"Id":"0d000000-0000-4000-8000-000000000009",` +
		`"OrganizationId":"0d000000-0000-4000-8000-000000000001","EntityType":"User",` +
		`"EntityId":"0d000000-0000-4000-8000-000000000002","EventType":"UserCallIncoming",` +
		`"CallId":"0d000000-0000-4000-8000-000000000003"}` + "\n"
	for _, batch := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d in a request", batch), func(b *testing.B) {
			body := strings.Repeat(line, batch)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for n := 0; n < b.N; n += batch {
				if w := publish(server, strings.NewReader(body), ""); w.Code != 200 {
					b.Fatalf("answered %d %s", w.Code, w.Body)
				}
			}
		})
	}
}

// A backplane may publish events after one that it did not: of another organization, which does not have to wait, or of
// another server of Redis. A retry published them again.
func TestPublish_retriesOnlyTheRest(t *testing.T) {
	type try struct {
		waits  string // the events that wait
		status int
		answer string
	}
	first := try{"2 5", 503, `{"published":4,"refused":0,"error":"no room","line":2,"done":[3,4,6]}`}
	last := try{"", 200, `{"published":6,"refused":0}`}
	for name, test := range map[string]struct {
		between try
		taken   string
	}{
		"the first line has room before a later one": {
			try{"5", 503, `{"published":5,"refused":0,"error":"no room","line":5,"done":[6]}`}, "1 3 4 6 2 5",
		},
		"a later line has room before the first one": {
			try{"2", 503, `{"published":5,"refused":0,"error":"no room","line":2,"done":[3,4,5,6]}`}, "1 3 4 6 5 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			waits := ""
			var taken []string
			take := func(_ context.Context, batch [][]byte) []error {
				errs := make([]error, len(batch))
				for i, event := range batch {
					if strings.Contains(waits, string(event)) {
						errs[i] = errors.New("no room")
					} else {
						taken = append(taken, string(event))
					}
				}
				return errs
			}
			server := mustNew(t, ingest.Options{
				Take: take, Receipts: backplane.NewMemory(backplane.Options{Catalog: events.Builtin(), Sink: noSubscribers{}}),
				Window: time.Minute, Timeout: 5 * time.Second, MaxBytes: 1 << 20, MaxEvent: 100,
			})
			for _, try := range []try{first, test.between, last} {
				waits = try.waits
				w := publish(server, strings.NewReader("1\n2\n3\n4\n5\n6\n"), "key")
				if got := strings.TrimSpace(w.Body.String()); w.Code != try.status || got != try.answer {
					t.Errorf("answered %d %s, want %d %s", w.Code, got, try.status, try.answer)
				}
			}
			if got := strings.Join(taken, " "); got != test.taken {
				t.Errorf("took %s, want %s", got, test.taken)
			}
		})
	}
}

// Two keys named one request: the first one counted, and a proxy or a client that repeats the last one published twice.
func TestPublish_refusesTwoKeys(t *testing.T) {
	s := &shelf{room: -1}
	r := httptest.NewRequest(http.MethodPost, "http://localhost/api/publish", strings.NewReader(`{"a":1}`))
	r.Header["Idempotency-Key"] = []string{"one", "two"}
	w := httptest.NewRecorder()
	newPublishServer(t, s, prometheus.NewRegistry()).ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "want one header") || len(s.taken) != 0 {
		t.Errorf("%d %s, taken %q", w.Code, w.Body, s.taken)
	}
}
