package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/ingest"
)

// answer is the answer to a publisher.
type answer struct {
	Published, Refused int
	Refusals           []struct {
		Line          int
		Error, Detail string
	}
	Error string
	Line  int
	Done  []int
}

// body is the body of a request, and what is in its lines or elements, from 1.
type body struct {
	text  string
	lines []string // "": blank; "bad": refused; "long": too long; else an event
}

func newBody(random *rand.Rand) body {
	b := body{lines: []string{""}}
	array := random.IntN(2) == 0
	var texts []string
	for number := range random.IntN(700) {
		line := fmt.Sprintf(`{"n":%d}`, number)
		text := line
		switch random.IntN(30) {
		case 0:
			line, text = "bad", `"bad"`
		case 1:
			line, text = "long", `"`+strings.Repeat("x", 101)+`"`
		case 2:
			line, text = "long", `"`+strings.Repeat("x", 70_000)+`"`
		case 3:
			if !array {
				line, text = "", " \t"
			}
		}
		b.lines, texts = append(b.lines, line), append(texts, text)
	}
	b.text = strings.Join(texts, "\n")
	if array {
		b.text = "[" + strings.Join(texts, ", ") + "] "
	} else if random.IntN(2) == 0 {
		b.text += "\n"
	}
	return b
}

// count returns the values of the counters by their names and labels.
func count(t *testing.T, reg *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "rte_console_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			all[name] = int(m.GetCounter().GetValue())
		}
	}
	return all
}

// TestPublish_publishesOnceOverAllTries repeats requests of all kinds until nothing is left. The backplane takes some
// events and has no room for others. After each try, the answer must name exactly what is done.
func TestPublish_publishesOnceOverAllTries(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := newBody(random)
		taken := map[string]int{}
		failed := false // in the latest call
		room := 1 + random.IntN(400)
		take := func(_ context.Context, batch [][]byte) []error {
			if len(batch) == 0 || len(batch) > 512 {
				t.Errorf("seed %d: a batch of %d", seed, len(batch))
			}
			errs := make([]error, len(batch))
			failed = false
			for i, event := range batch {
				switch {
				case bytes.Contains(event, []byte("bad")):
					errs[i] = ingest.Refused{Reason: "reason", Detail: "detail"}
				case random.IntN(room) == 0:
					failed = true
					errs[i] = errors.New("no room")
				default:
					taken[string(event)]++
				}
			}
			if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
				return nil
			}
			return errs
		}
		reg := prometheus.NewRegistry()
		server := mustNew(t, ingest.Options{
			Take: take, Receipts: newReceipts(), Window: time.Minute, Timeout: time.Minute, MaxBytes: 64 << 20, MaxEvent: 100,
			Registerer: reg,
		})
		last, done := "", false
		for tries := 1; !done; tries++ {
			if room++; tries > 500 {
				t.Fatalf("seed %d: no end", seed)
			}
			var reader io.Reader = strings.NewReader(b.text)
			if random.IntN(4) == 0 {
				reader = iotest.HalfReader(reader)
			}
			w := publish(server, reader, "key")
			var got answer
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			want, status := b.expect(taken, got.Line, failed)
			if diff := cmp.Diff(want, got); diff != "" || w.Code != status {
				t.Fatalf("seed %d, try %d, status %d, want %d: %s", seed, tries, w.Code, status, diff)
			}
			if kind, store := w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"); kind != "application/json" ||
				store != "no-store" || w.Header().Get("Idempotency-Replayed") != "" {
				t.Fatalf("seed %d: headers %v", seed, w.Header())
			}
			if counts := count(t, reg); counts["published_events_total published"] != want.Published ||
				counts["published_events_total refused"] != want.Refused {
				t.Fatalf("seed %d: counted %v, want %d and %d", seed, counts, want.Published, want.Refused)
			}
			last, done = w.Body.String(), !failed
		}
		for event, times := range taken {
			if times != 1 {
				t.Fatalf("seed %d: %s was taken %d times", seed, event, times)
			}
		}
		if w := publish(server, strings.NewReader(b.text), "key"); w.Body.String() != last ||
			w.Header().Get("Idempotency-Replayed") != "true" {
			t.Fatalf("seed %d: replayed %s, want %s", seed, w.Body, last)
		}
	}
}

// expect returns the answer and its status if these events were taken, and the request stopped at a line.
func (b *body) expect(taken map[string]int, stopped int, failed bool) (want answer, status int) {
	for number := 1; number < len(b.lines); number++ {
		line := b.lines[number]
		isPast := failed && number >= stopped
		switch {
		case taken[line] > 0:
			want.Published++
			if isPast {
				want.Done = append(want.Done, number)
			}
		case isPast:
			if want.Line == 0 && line != "" && line != "bad" && line != "long" {
				want.Line, want.Error = number, "no room"
			}
		case line == "bad" || line == "long":
			want.Refused++
			if len(want.Refusals) < 100 {
				why := struct {
					Line          int
					Error, Detail string
				}{number, "reason", "detail"}
				if line == "long" {
					why.Error, why.Detail = "too_large", ""
				}
				want.Refusals = append(want.Refusals, why)
			}
		}
	}
	switch {
	case failed:
		return want, http.StatusServiceUnavailable
	case want.Refused == 0:
		return want, http.StatusOK
	case want.Published > 0:
		return want, http.StatusMultiStatus
	default:
		return want, http.StatusBadRequest
	}
}

func TestNew_namesTheMissingField(t *testing.T) {
	whole := ingest.Options{
		Take: (&shelf{}).take, Receipts: newReceipts(), Timeout: time.Second, MaxBytes: 1, MaxEvent: 1,
	}
	mustNew(t, whole)
	for field, leaveOut := range map[string]func(*ingest.Options){
		"Take":     func(o *ingest.Options) { o.Take = nil },
		"Receipts": func(o *ingest.Options) { o.Receipts = nil },
		"Timeout":  func(o *ingest.Options) { o.Timeout = 0 },
		"MaxBytes": func(o *ingest.Options) { o.MaxBytes = 0 },
		"MaxEvent": func(o *ingest.Options) { o.MaxEvent = 0 },
	} {
		o := whole
		leaveOut(&o)
		if _, err := ingest.New(o); err == nil || err.Error() != "ingest: Options."+field+" is required" {
			t.Errorf("without %s: %v", field, err)
		}
	}
}

// paper has receipts that cannot be read or written.
type paper struct {
	known    string
	beginErr error
	endErr   error

	lease time.Duration
	final bool
}

func (p *paper) Begin(_ context.Context, _ string, lease time.Duration) (known string, running bool, err error) {
	p.lease = lease
	return p.known, false, p.beginErr
}

func (p *paper) End(_ context.Context, _, text string, final bool, _ time.Duration) error {
	p.known, p.final = text, final
	return p.endErr
}

// A request whose receipt cannot be read publishes nothing: it may have been published before. One whose end cannot be
// recorded gets its right answer, and is counted.
func TestPublish_doesNotGuessReceipts(t *testing.T) {
	for name, test := range map[string]struct {
		receipts         paper
		status           int
		text             string
		taken, unwritten int
	}{
		"unreadable":         {paper{beginErr: errors.New("no Redis")}, 503, "no Redis", 0, 0},
		"malformed":          {paper{known: "{"}, 503, "cannot be read", 0, 0},
		"cannot be recorded": {paper{endErr: errors.New("no Redis")}, 200, `"published":1`, 1, 1},
		"recorded":           {paper{}, 200, `"published":1`, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			s := &shelf{}
			server := mustNew(t, ingest.Options{
				Take: s.take, Receipts: &test.receipts, Window: time.Minute, Timeout: 5 * time.Second, MaxBytes: 1 << 20,
				MaxEvent: 100, Registerer: reg,
			})
			before := count(t, reg)
			if want := 6; len(before) != want {
				t.Errorf("%d counters exist from the start, want %d: %v", len(before), want, before)
			}
			w := publish(server, strings.NewReader("1"), "key")
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || len(s.taken) != test.taken {
				t.Errorf("answered %d %s, took %q", w.Code, w.Body, s.taken)
			}
			if again := w.Header().Get("Retry-After") != ""; again != (test.status == 503) {
				t.Errorf("headers %v", w.Header())
			}
			if got := count(t, reg)["publish_unrecorded_total"]; got != test.unwritten {
				t.Errorf("%d ends are counted as not recorded", got)
			}
			if test.receipts.lease <= 5*time.Second {
				t.Errorf("the request is marked for %v, less than it may take", test.receipts.lease)
			}
			if test.taken > 0 && !test.receipts.final {
				t.Error("the end is not final")
			}
		})
	}
}

// A body that ends too early has an answer that names the line where a retry continues.
func TestPublish_explainsABodyThatBreaks(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		text   string
	}{
		"cut off":   {io.ErrUnexpectedEOF, 400, "the body cannot be read to its end"},
		"too large": {&http.MaxBytesError{Limit: 7}, 413, "the body is longer than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{}
			reader := io.MultiReader(strings.NewReader("1\n2\n3"), iotest.ErrReader(test.err))
			w := publish(newPublishServer(t, s, prometheus.NewRegistry()), reader, "")
			want := fmt.Sprintf(`{"published":2,"refused":0,"error":%q,"line":3}`, test.text)
			if got := strings.TrimSpace(w.Body.String()); w.Code != test.status || got != want || len(s.taken) != 2 {
				t.Errorf("answered %d %s, want %s; took %q", w.Code, got, want, s.taken)
			}
		})
	}
}

// Requests that have read their bodies give their places back.
func TestPublish_givesItsPlaceBack(t *testing.T) {
	s := &shelf{}
	server := newPublishServer(t, s, prometheus.NewRegistry())
	const requests = 1200 // twice as many as may be read at a time
	for range requests {
		if w := publish(server, strings.NewReader("1"), ""); w.Code != 200 {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
	}
	if len(s.taken) != requests {
		t.Errorf("took %d", len(s.taken))
	}
}

// slowReceipts are receipts as in Redis: they record nothing once the context has ended.
type slowReceipts struct{ ingest.Receipts }

// End implements ingest.Receipts.
func (s slowReceipts) End(ctx context.Context, key, text string, final bool, keep time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Receipts.End(ctx, key, text, final, keep)
}

// A publisher goes in the midst of its request, or the time limit passes. A retry gets the result, and its events are
// published once.
func TestPublish_recordsTheEndWithoutThePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, late := range map[string]bool{"the publisher goes": false, "the time limit passes": true} {
			s := &shelf{}
			ctx, leave := context.WithCancel(t.Context())
			server := mustNew(t, ingest.Options{
				Receipts: slowReceipts{newReceipts()}, Window: time.Minute, Timeout: 5 * time.Second, MaxBytes: 1 << 20,
				MaxEvent: 100, Take: func(ctx context.Context, batch [][]byte) []error {
					if late {
						time.Sleep(6 * time.Second)
					} else {
						leave()
					}
					return s.take(ctx, batch)
				},
			})
			request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/api/publish",
				strings.NewReader("1\n"))
			request.Header.Set("Idempotency-Key", "key")
			server.ServeHTTP(httptest.NewRecorder(), request)
			if w := publish(server, strings.NewReader("1\n"), "key"); w.Code != http.StatusOK {
				t.Errorf("%s: the retry got %d %s", name, w.Code, w.Body)
			}
			if len(s.taken) != 1 {
				t.Errorf("%s: took %v", name, s.taken)
			}
			leave()
		}
	})
}
