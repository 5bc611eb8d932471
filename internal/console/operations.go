package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// Operations are what operators can ask for and do, besides looking. Their answers are sent as JSON. They may be called
// from any goroutine. An error that is a BadRequest is the caller's mistake; any other says that it cannot be done now.
type Operations struct {
	// Revoke takes back tokens: POST /api/revoke with a revocation as JSON.
	Revoke func(ctx context.Context, revocation []byte) (answer any, err error)
	// Explain says why somebody may listen to something, or may not: GET /api/explain.
	Explain Operation
	// Connections lists connections of this node: GET /api/connections.
	Connections Operation
	// Disconnect ends connections of this node: POST /api/disconnect.
	Disconnect Operation
}

// Operation does what the query of a request says.
type Operation func(ctx context.Context, query url.Values) (answer any, err error)

// BadRequest is what is wrong with a request, in words for its caller.
type BadRequest string

// Error is the words.
func (e BadRequest) Error() string { return string(e) }

// Accepted is an answer that says that something is not done everywhere yet. Its status is 202.
type Accepted struct {
	Answer any
}

// maxRequestBytes bounds the body of a request; a revocation has 150 bytes.
const maxRequestBytes = 4 << 10

// handle adds the paths of the operations.
func (o *Operations) handle(mux *http.ServeMux) {
	if o.Revoke != nil {
		mux.HandleFunc("POST /api/revoke", answer(func(r *http.Request) (any, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, BadRequest("the body cannot be read, or is too long")
			}
			return o.Revoke(r.Context(), body)
		}))
	}
	for pattern, operation := range map[string]Operation{
		"GET /api/explain": o.Explain, "GET /api/connections": o.Connections, "POST /api/disconnect": o.Disconnect,
	} {
		if operation != nil {
			mux.HandleFunc(pattern, answer(func(r *http.Request) (any, error) { return operation(r.Context(), r.URL.Query()) }))
		}
	}
}

// answer makes a handler of what works out an answer.
func answer(work func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBytes)
		body, err := work(r)
		if err == nil {
			status := http.StatusOK
			if accepted, ok := body.(Accepted); ok {
				status, body = http.StatusAccepted, accepted.Answer
			}
			writeJSON(w, status, body)
			return
		}
		status := http.StatusServiceUnavailable
		if _, ok := errors.AsType[BadRequest](err); ok {
			status = http.StatusBadRequest
		}
		writeJSON(w, status, map[string]string{"error": err.Error()})
	}
}
