package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// Options are what publishing works with.
type Options struct {
	// Take hands events on, in their order. It answers nil if all were taken, else one error for each (nil where it
	// worked). An error that is Refused refuses that event for good; any other says that the event was not taken, or may
	// not have been, and may be another time. Take must not keep the events. Required.
	Take func(ctx context.Context, batch [][]byte) []error
	// Receipts remember requests with an Idempotency-Key. Required.
	Receipts Receipts
	// Window is how long they do.
	Window time.Duration
	// Timeout is how long a request may take, all waiting included.
	Timeout time.Duration
	// MaxBytes bounds a request, MaxEvent one event of it.
	MaxBytes, MaxEvent int
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
}

// Refused is why an event is refused for good.
type Refused string

// Error is the reason.
func (e Refused) Error() string { return string(e) }

// Receipts remember what became of requests, for all nodes. Begin answers what is known of a request: nothing, and
// from now on it is running until End or for as long as lease; that it is running; or the text of End. If that was not
// final, the request is running again.
type Receipts interface {
	Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error)
	End(ctx context.Context, key, text string, final bool, keep time.Duration) error
}

const (
	// publishers is how many requests publish at a time; more wait. It bounds what their buffers take.
	publishers = 64
	// maxBatch is how many events are handed on at once.
	maxBatch = 512
	// maxRefusals is how many refusals an answer lists.
	maxRefusals = 100
	// maxKey is the length of the longest Idempotency-Key.
	maxKey = 128
	// receiptTimeout is how long recording the end of a request may take, also when its client has gone.
	receiptTimeout = 2 * time.Second
)

// report is the answer to a request.
type report struct {
	// Published counts events that were taken, those of earlier tries with the same key included.
	Published int `json:"published"`
	// Refused counts events that were not, and never will be; Refusals are the first of them.
	Refused  int       `json:"refused"`
	Refusals []refusal `json:"refusals,omitempty"`
	// Error says why not everything was looked at, and Line where to go on: all before it is done, and so are the lines of
	// Done behind it, which did not have to wait. They rise.
	Error string `json:"error,omitempty"`
	Line  int    `json:"line,omitempty"`
	Done  []int  `json:"done,omitempty"`
}

// refusal says what is wrong with a line, or with an element of an array; both count from 1.
type refusal struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// receipt is what Receipts keep of a request.
type receipt struct {
	Status int    `json:"status"`
	Report report `json:"report"`
}

// publisher answers requests to publish.
type publisher struct {
	Options

	slots   *semaphore.Weighted
	readers sync.Pool // *batchReader
	metrics *publishMetrics
}

// batchReader is what a request needs to read its events in batches.
type batchReader struct {
	splitter
	batch [][]byte
	lines []int // of the events of batch
}

func newBatchReader(limit int) *batchReader {
	return &batchReader{splitter: newSplitter(limit), batch: make([][]byte, 0, maxBatch), lines: make([]int, 0, maxBatch)}
}

// New makes the handler of POST /api/publish.
func New(o Options) http.Handler {
	return &publisher{Options: o, slots: semaphore.NewWeighted(publishers), metrics: newPublishMetrics(o.Registerer)}
}

// ServeHTTP publishes the events of a request.
func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := p.serve(w, r)
	p.metrics.requests.WithLabelValues(outcomeOf(status)).Inc()
	if status == http.StatusServiceUnavailable || status == http.StatusConflict {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, body)
}

// serve is ServeHTTP without the answer.
func (p *publisher) serve(w http.ResponseWriter, r *http.Request) (status int, body report) {
	key := r.Header.Get("Idempotency-Key")
	switch {
	case r.ContentLength > int64(p.MaxBytes):
		return http.StatusRequestEntityTooLarge, report{Error: p.tooLarge()}
	case r.Header.Get("Content-Encoding") != "":
		return http.StatusUnsupportedMediaType, report{Error: "a Content-Encoding is not understood"}
	case !validKey(key):
		return http.StatusBadRequest, report{Error: fmt.Sprintf("Idempotency-Key: want at most %d visible ASCII characters", maxKey)}
	}
	deadline := time.Now().Add(p.Timeout)
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(deadline) // what a test writes to has none
	if err := p.slots.Acquire(ctx, 1); err != nil {
		return http.StatusServiceUnavailable, report{Error: "too many requests publish already"}
	}
	defer p.slots.Release(1)

	events, ok := p.readers.Get().(*batchReader)
	if !ok {
		events = newBatchReader(p.MaxEvent)
	}
	defer p.readers.Put(events)
	events.reset(http.MaxBytesReader(w, r.Body, int64(p.MaxBytes)))
	if key == "" {
		return p.publish(ctx, events, report{})
	}
	return p.publishOnce(ctx, w.Header(), events, key)
}

// publishOnce is publish for a request that may have come before.
func (p *publisher) publishOnce(ctx context.Context, header http.Header, events *batchReader, key string) (int, report) {
	known, running, err := p.Receipts.Begin(ctx, key, p.Timeout+receiptTimeout)
	switch {
	case err != nil:
		return http.StatusServiceUnavailable, report{Error: err.Error()}
	case running:
		return http.StatusConflict, report{Error: "a request with this Idempotency-Key is under way"}
	}
	var before receipt
	if known != "" {
		if err := json.Unmarshal([]byte(known), &before); err != nil {
			return http.StatusServiceUnavailable, report{Error: "what is recorded of this Idempotency-Key cannot be read"}
		}
		if before.Report.Line == 0 {
			header.Set("Idempotency-Replayed", "true")
			return before.Status, before.Report
		}
	}
	status, body := p.publish(ctx, events, before.Report)
	text, err := json.Marshal(receipt{status, body})
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiptTimeout)
		defer cancel()
		err = p.Receipts.End(ctx, key, string(text), body.Line == 0, p.Window)
	}
	if err != nil {
		p.metrics.unrecorded.Inc() // the answer is right all the same
	}
	return status, body
}

// publish hands the events on, from where an earlier try stopped.
func (p *publisher) publish(ctx context.Context, events *batchReader, before report) (status int, body report) {
	body = report{Published: before.Published, Refused: before.Refused, Refusals: before.Refusals}
	for status == 0 {
		batch, lines, done := events.batch[:0], events.lines[:0], 0
		var end error
		for end == nil && len(batch)+done < maxBatch && (len(batch) == 0 || events.buffered()) {
			var event []byte
			event, end = events.next()
			switch {
			case len(event) == 0 || events.line < before.Line:
			case before.isDone(events.line):
				done++ // they count, so that their number stays bounded if the same event has to wait again
			default:
				batch, lines = append(batch, event), append(lines, events.line)
			}
		}
		status = p.take(ctx, batch, lines, &body)
		switch {
		case status != 0 || end == nil:
		case !errors.Is(end, errTooLong):
			status = p.ended(ctx, events, end, &body)
		case events.line >= before.Line:
			body.refuse(events.line, end)
		}
	}
	if body.Line > 0 {
		body.Done = append(body.Done, slices.DeleteFunc(before.Done, func(line int) bool { return line < body.Line })...)
		slices.Sort(body.Done)
	}
	p.metrics.published.Add(float64(body.Published - before.Published))
	p.metrics.refused.Add(float64(body.Refused - before.Refused))
	return status, body
}

// take hands on a batch. The status is 0 if that worked.
func (p *publisher) take(ctx context.Context, batch [][]byte, lines []int, body *report) (status int) {
	if len(batch) == 0 {
		return 0
	}
	errs := p.Take(ctx, batch)
	if errs == nil {
		body.Published += len(batch)
		return 0
	}
	for i, err := range errs {
		bad, isBad := errors.AsType[Refused](err)
		switch {
		case err == nil:
			body.Published++
		case isBad:
			body.refuse(lines[i], bad)
		default:
			body.Error, body.Line = err.Error(), lines[i]
			for k, err := range errs[i:] {
				if err == nil {
					body.Published++
					body.Done = append(body.Done, lines[i+k])
				}
			}
			return http.StatusServiceUnavailable
		}
	}
	return 0
}

// ended is the status of a request whose body has ended with err.
func (p *publisher) ended(ctx context.Context, events *batchReader, err error, body *report) (status int) {
	if errors.Is(err, io.EOF) {
		switch {
		case body.Refused == 0:
			return http.StatusOK
		case body.Published > 0:
			return http.StatusMultiStatus
		default:
			return http.StatusBadRequest
		}
	}
	body.Line = events.line + 1
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, errForm):
		body.Error = errForm.Error()
		return http.StatusBadRequest
	case tooLarge:
		body.Error = p.tooLarge()
		return http.StatusRequestEntityTooLarge
	case ctx.Err() != nil:
		body.Error = "the body took too long"
		return http.StatusRequestTimeout
	default:
		body.Error = "the body cannot be read to its end"
		return http.StatusBadRequest
	}
}

func (p *publisher) tooLarge() string {
	return fmt.Sprintf("the body is longer than %d bytes", p.MaxBytes)
}

// isDone says whether a line is one of Done.
func (r *report) isDone(line int) bool {
	_, found := slices.BinarySearch(r.Done, line)
	return found
}

// refuse counts a refusal.
func (r *report) refuse(line int, why error) {
	r.Refused++
	if len(r.Refusals) < maxRefusals {
		r.Refusals = append(r.Refusals, refusal{line, why.Error()})
	}
}

// validKey says whether a key is one, or none.
func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return len(key) <= maxKey
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that has gone needs no answer
}
