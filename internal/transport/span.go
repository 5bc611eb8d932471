package transport

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/tracing"
)

// traced begins the span of a negotiate request or an upgrade, if the tracer records it. The returned writer notes the
// status; ended must be called when the request is answered.
func (h *Handler) traced(w http.ResponseWriter, r *http.Request, kind requestKind) (http.ResponseWriter, func()) {
	if h.options.Tracer == nil || !isEntry(r, kind) {
		return w, func() {}
	}
	route := h.options.Path
	if kind == requestNegotiate {
		route += "/negotiate"
	}
	span := h.options.Tracer.Begin(r.Method+" "+route, r.Header.Get("traceparent"))
	if span == nil {
		return w, func() {}
	}
	noted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	if kind == requestHub {
		noted.status = http.StatusSwitchingProtocols // unless WriteHeader is called
	}
	return noted, func() { endRequest(span, r.Method, route, noted.status) }
}

// endRequest ends the span of a request.
func endRequest(span *tracing.Span, method, route string, status int) {
	span.Text("http.request.method", method)
	span.Text("http.route", route)
	span.Number("http.response.status_code", status)
	if status >= http.StatusInternalServerError {
		span.Fail(strconv.Itoa(status))
	}
	span.End()
}

// upgraded makes the span of an upgrade without net/http.
func (h *Handler) upgraded(traceparent string, began time.Time) {
	if h.options.Tracer == nil {
		return
	}
	if span := h.options.Tracer.BeginAt(began, "GET "+h.options.Path, traceparent); span != nil {
		endRequest(span, http.MethodGet, h.options.Path, http.StatusSwitchingProtocols)
	}
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the methods of the server's writer.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
