package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Operations are the actions of the operator API. The server sends their answers as JSON. It may call them from any
// goroutine. A BadRequest is an error of the caller; any other error means that the action is not possible now.
type Operations struct {
	// Revoke revokes tokens: POST /api/revoke with a revocation as JSON.
	Revoke func(ctx context.Context, revocation []byte) (answer any, err error)
	// Explain explains an authorization decision: GET /api/explain.
	Explain Operation
	// Connections lists connections of this node: GET /api/connections.
	Connections Operation
	// Reload reads the configuration again: POST /api/reload.
	Reload Operation
	// Disconnect ends connections of this node: POST /api/disconnect.
	Disconnect Operation
	// Drain, CancelDrain, Shed and CancelShed close connections evenly, or end that: POST and DELETE /api/drain and
	// /api/shed. Departure returns what is under way: GET of both.
	Drain, CancelDrain, Shed, CancelShed, Departure Operation
	// Revocations lists revocations, Undo ends them: GET and DELETE /api/revocations.
	Revocations, Undo Operation
	// Nodes lists the nodes of the deployment: GET /api/nodes.
	Nodes Operation
	// Overview shows the state of nodes: GET /api/overview.
	Overview Operation
	// Organizations lists the organizations that use most: GET /api/organizations.
	Organizations Operation
	// LogLevel and SetLogLevel are the level of the log: GET and POST /api/log-level.
	LogLevel, SetLogLevel Operation
	// Event follows one event through all nodes: GET /api/events/{id}. Its query has the id.
	Event Operation
	// Events lists events of all nodes: GET /api/events.
	Events Operation
	// Connection describes one connection of any node: GET /api/connections/{id}. Its query has the id.
	Connection Operation
	// Topics lists topics: GET /api/topics.
	Topics Operation
	// Tap streams events: GET /api/tap.
	Tap http.Handler
	// DryRun finds out who would receive an event: POST /api/events/dry-run with the event.
	DryRun func(ctx context.Context, query url.Values, event []byte) (answer any, err error)
}

// Operation carries out an action with the parameters of a request.
type Operation func(ctx context.Context, query url.Values) (answer any, err error)

// BadRequest is an error of the caller of the operator API, in words for people.
type BadRequest string

// Error returns the words.
func (e BadRequest) Error() string { return string(e) }

// Accepted wraps the answer of an action that not all nodes have carried out. Its status is 202.
type Accepted struct {
	Answer any
}

// maxRequestBytes bounds the body of an action; a revocation has 150 bytes.
const maxRequestBytes = 4 << 10

// handle adds the paths of the operations to mux.
func (o *Operations) handle(mux *routes) {
	if o.Revoke != nil {
		mux.HandleFunc("POST /api/revoke", answer(func(r *http.Request) (any, error) {
			body, err := wholeBody(r)
			if err != nil {
				return nil, err
			}
			return o.Revoke(r.Context(), body)
		}))
	}
	for pattern, operation := range map[string]Operation{
		"GET /api/events/{id}": o.Event, "GET /api/connections/{id}": o.Connection,
	} {
		if operation == nil {
			continue
		}
		mux.HandleFunc(pattern, answer(func(r *http.Request) (any, error) {
			query := r.URL.Query()
			if query.Has("id") {
				return nil, BadRequest(`unknown parameter "id"`)
			}
			query.Set("id", r.PathValue("id"))
			return operation(r.Context(), query)
		}))
	}
	if o.Tap != nil {
		mux.Handle("GET "+tapPath, o.Tap)
	}
	if o.DryRun != nil {
		mux.HandleFunc("POST /api/events/dry-run", answerUpTo(maxDryRunBytes, func(r *http.Request) (any, error) {
			body, err := wholeBody(r)
			if err != nil {
				return nil, err
			}
			return o.DryRun(r.Context(), r.URL.Query(), body)
		}))
	}
	for pattern, operation := range map[string]Operation{
		"GET /api/explain": o.Explain, "GET /api/connections": o.Connections, "POST /api/disconnect": o.Disconnect,
		"POST /api/drain": o.Drain, "DELETE /api/drain": o.CancelDrain, "GET /api/drain": o.Departure,
		"POST /api/shed": o.Shed, "DELETE /api/shed": o.CancelShed, "GET /api/shed": o.Departure,
		"GET /api/nodes": o.Nodes, "GET /api/revocations": o.Revocations, "DELETE /api/revocations": o.Undo,
		"GET /api/events": o.Events, "GET /api/topics": o.Topics,
		"GET /api/overview": o.Overview, "GET /api/organizations": o.Organizations,
		"GET /api/log-level": o.LogLevel, "POST /api/log-level": o.SetLogLevel, "POST /api/reload": o.Reload,
	} {
		if operation != nil {
			mux.HandleFunc(pattern, answer(func(r *http.Request) (any, error) { return operation(r.Context(), r.URL.Query()) }))
		}
	}
}

// maxDryRunBytes bounds the event of a dry run.
const maxDryRunBytes = 128 << 10

// answer makes a handler that sends the result of work.
func answer(work func(*http.Request) (any, error)) http.HandlerFunc {
	return answerUpTo(maxRequestBytes, work)
}

// answerUpTo is answer for larger bodies.
func answerUpTo(bytes int64, work func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bytes)
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
		_, bad := errors.AsType[BadRequest](err)
		long, tooLong := errors.AsType[*http.MaxBytesError](err)
		switch {
		case bad:
			status = http.StatusBadRequest
		case tooLong:
			status, err = http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d bytes", long.Limit)
		}
		writeJSON(w, status, map[string]string{"error": err.Error()})
	}
}

// wholeBody returns the body of a request to answerUpTo.
func wholeBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); err != nil && !tooLong {
		return nil, BadRequest("the body cannot be read to its end")
	}
	return body, err
}
