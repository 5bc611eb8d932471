package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/rte-server/rte-server/internal/tracing"
)

// Options configure publishing over HTTP.
type Options struct {
	// Take publishes events in their order. It returns nil, or one error per event (nil for each that it published). An
	// error of type Refused rejects an event for good. Any other error means that the event was not published, or may
	// not have been, and that the publisher may retry. Take must not keep the events. Required.
	Take func(ctx context.Context, batch [][]byte) []error
	// Receipts remember requests with an Idempotency-Key. Required.
	Receipts Receipts
	// Window is how long Receipts keep a request.
	Window time.Duration
	// Timeout is the time limit of a request, its waiting included.
	Timeout time.Duration
	// MaxBytes bounds a request, MaxEvent one event of it, in bytes.
	MaxBytes, MaxEvent int
	// Tracer makes the spans of requests; nil: none.
	Tracer *tracing.Tracer
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
}

// Refused is the reason why an event is rejected for good.
type Refused struct {
	Reason string // machine-readable
	Detail string // for people; may be empty
}

// Error returns the reason.
func (e Refused) Error() string { return e.Reason }

// Receipts remember the results of requests, for all nodes.
type Receipts interface {
	// Begin looks up a request. A new request is marked as running until End, for lease at most. For a request that
	// runs already, running is true. For one that has ended, known is the text of End; if it was not final, the request
	// is marked as running again.
	Begin(ctx context.Context, key string, lease time.Duration) (known string, running bool, err error)
	// End records the result of a request for keep. final is false if a retry continues the request.
	End(ctx context.Context, key, text string, final bool, keep time.Duration) error
}

const (
	// publishers is the number of batches that are published at the same time; others wait.
	publishers = 64
	// readerBytes bounds the memory of the requests whose bodies are being read, within minReaders and maxReaders; others
	// wait. A request needs a reader once the first byte of its body has arrived.
	readerBytes            = 64 << 20
	minReaders, maxReaders = publishers, 512
	// maxBatch is the number of events that one call of Take gets at most.
	maxBatch = 512
	// maxRefusals bounds the refusals that an answer lists.
	maxRefusals = 100
	// maxKey bounds the length of an Idempotency-Key.
	maxKey = 128
	// receiptTimeout bounds recording the end of a request, which continues when the client has gone.
	receiptTimeout = 2 * time.Second
)

// errBusy is the error of a request that has waited for its time limit.
const errBusy = "too many requests publish already"

// report is the answer to a request.
type report struct {
	// Published counts the published events, those of earlier tries with the same key included.
	Published int `json:"published"`
	// Refused counts the events rejected for good; Refusals are the first of them.
	Refused  int       `json:"refused"`
	Refusals []refusal `json:"refusals,omitempty"`
	// Error reports why the request stopped early, and Line where a retry continues. All lines before Line are done,
	// and so are the later lines of Done, in ascending order, which did not have to wait.
	Error string `json:"error,omitempty"`
	Line  int    `json:"line,omitempty"`
	Done  []int  `json:"done,omitempty"`
}

// refusal is the reason why one line, or element of an array, was rejected. Both count from 1.
type refusal struct {
	Line   int    `json:"line"`
	Error  string `json:"error"`
	Detail string `json:"detail,omitempty"`
}

// receipt is the text that Receipts keep of a request.
type receipt struct {
	Status int    `json:"status"`
	Report report `json:"report"`
}

// publisher is the handler of POST /api/publish.
type publisher struct {
	Options

	slots   *semaphore.Weighted // of batches
	reading *semaphore.Weighted // of requests
	readers sync.Pool           // *batchReader
	metrics *publishMetrics
}

// batchReader reads the events of a request in batches.
type batchReader struct {
	splitter
	batch [][]byte
	lines []int // of the events of batch
}

func newBatchReader(limit int) *batchReader {
	return &batchReader{splitter: newSplitter(limit), batch: make([][]byte, 0, maxBatch), lines: make([]int, 0, maxBatch)}
}

// New makes the handler of POST /api/publish. Its error names the field that is missing.
func New(o Options) (http.Handler, error) {
	switch {
	case o.Take == nil:
		return nil, errors.New("ingest: Options.Take is required")
	case o.Receipts == nil:
		return nil, errors.New("ingest: Options.Receipts is required")
	case o.Timeout <= 0:
		return nil, errors.New("ingest: Options.Timeout is required")
	case o.MaxBytes <= 0:
		return nil, errors.New("ingest: Options.MaxBytes is required")
	case o.MaxEvent <= 0:
		return nil, errors.New("ingest: Options.MaxEvent is required")
	}
	readers := min(max(readerBytes/(chunk+o.MaxEvent), minReaders), maxReaders)
	return &publisher{
		Options: o, slots: semaphore.NewWeighted(publishers), reading: semaphore.NewWeighted(int64(readers)),
		metrics: newPublishMetrics(o.Registerer),
	}, nil
}

// ServeHTTP publishes the events of a request.
func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	span := p.Tracer.Begin("POST /api/publish", r.Header.Get("traceparent"))
	defer span.End()
	status, body := p.serve(w, r)
	span.Text("http.request.method", r.Method)
	span.Text("http.route", "/api/publish")
	span.Number("http.response.status_code", status)
	span.Number("messaging.batch.message_count", body.Published+body.Refused)
	span.Number("rte.refused", body.Refused)
	if status >= http.StatusInternalServerError {
		span.Fail(strconv.Itoa(status))
	}
	p.metrics.requests.WithLabelValues(outcomeOf(status)).Inc()
	if status == http.StatusServiceUnavailable || status == http.StatusConflict {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, body)
}

// serve publishes the events of a request and returns the answer.
func (p *publisher) serve(w http.ResponseWriter, r *http.Request) (status int, body report) {
	key := r.Header.Get("Idempotency-Key")
	switch {
	case len(r.Header.Values("Idempotency-Key")) > 1:
		return http.StatusBadRequest, report{Error: "Idempotency-Key: want one header"}
	case r.ContentLength > int64(p.MaxBytes):
		return http.StatusRequestEntityTooLarge, report{Error: p.tooLarge()}
	case r.Header.Get("Content-Encoding") != "":
		return http.StatusUnsupportedMediaType, report{Error: "a Content-Encoding is not understood"}
	case !validKey(key):
		return http.StatusBadRequest, report{Error: fmt.Sprintf("Idempotency-Key: want at most %d visible "+
			"ASCII characters", maxKey)}
	}
	deadline := time.Now().Add(p.Timeout)
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(deadline) // the recorder of a test has no deadline
	content := http.MaxBytesReader(w, r.Body, int64(p.MaxBytes))
	first := make([]byte, 1)
	n, err := io.ReadAtLeast(content, first, 1) // a slow publisher takes no place before its body arrives
	if p.reading.Acquire(ctx, 1) != nil {
		return http.StatusServiceUnavailable, report{Error: errBusy}
	}
	defer p.reading.Release(1)

	events, ok := p.readers.Get().(*batchReader)
	if !ok {
		events = newBatchReader(p.MaxEvent)
	}
	defer p.readers.Put(events)
	events.reset(content, first[:n], err)
	if key == "" {
		return p.publish(ctx, events, report{})
	}
	return p.publishOnce(ctx, w.Header(), events, key)
}

// publishOnce publishes the events of a request with an Idempotency-Key: all of them once, over all its tries.
func (p *publisher) publishOnce(
	ctx context.Context, header http.Header, events *batchReader, key string,
) (int, report) {
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
			return http.StatusServiceUnavailable, report{Error: "what is recorded of this Idempotency-Key " +
				"cannot be read"}
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
		p.metrics.unrecorded.Inc() // the answer is right in any case
	}
	return status, body
}

// publish publishes the events, from the line where an earlier try stopped.
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
				done++ // counting them bounds their number if the same event has to wait again
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

// take publishes a batch and adds the results to body. It returns status 0 unless the request must stop.
func (p *publisher) take(ctx context.Context, batch [][]byte, lines []int, body *report) (status int) {
	if len(batch) == 0 {
		return 0
	}
	if p.slots.Acquire(ctx, 1) != nil {
		body.Error, body.Line = errBusy, lines[0]
		return http.StatusServiceUnavailable
	}
	errs := p.Take(ctx, batch)
	p.slots.Release(1)
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

// ended returns the status of a request whose body has ended with err.
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

// isDone reports whether a line is one of Done.
func (r *report) isDone(line int) bool {
	_, found := slices.BinarySearch(r.Done, line)
	return found
}

// refuse adds a refusal.
func (r *report) refuse(line int, why error) {
	r.Refused++
	if len(r.Refusals) < maxRefusals {
		refused, _ := errors.AsType[Refused](why)
		r.Refusals = append(r.Refusals, refusal{line, why.Error(), refused.Detail})
	}
}

// validKey reports whether an Idempotency-Key is valid or absent.
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
	_ = json.NewEncoder(w).Encode(body) // an error means that the caller has gone
}
