package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"time"

	"go.uber.org/zap"
)

// Forward passes a request on to the node at address, and the answer back. The answer may have any length and duration;
// each piece goes on as soon as it comes. The end of the client's request ends the owner's. After an error the request
// has no answer yet.
func (r *Relay) Forward(w http.ResponseWriter, req *http.Request, address string) (err error) {
	place := r.reserve()
	if place == nil {
		r.metrics.requests[outcomeFull].Inc()
		return ErrFull
	}
	defer r.release(place)
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	if !r.occupy(place, func() { cancel(ErrMoved) }, req.Method != http.MethodGet) {
		return ErrMoved
	}
	// The deadlines of the server are for short requests. A test's writer has none.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	req = req.WithContext(ctx)
	if req.ContentLength == 0 {
		_ = control.SetReadDeadline(time.Time{})
	} else {
		req.Body = &timedBody{req.Body, control, r.options.Send}
	}
	proxy := httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { rewrite(p, address) },
		Transport:     r.requests,
		FlushInterval: -1,
		ErrorLog:      zap.NewStdLog(zap.NewNop()), // a client or a node that leaves is no error
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { err = ErrOwner },
	}
	proxy.ServeHTTP(&timedWriter{w, control, r.options.Send}, req)
	if err != nil && errors.Is(context.Cause(ctx), ErrMoved) {
		return ErrMoved
	}
	if err != nil {
		r.metrics.requests[outcomeOwner].Inc()
		return err
	}
	r.metrics.requests[outcomeAnswered].Inc()
	return nil
}

// rewrite addresses a request to the owner. The owner gets all headers of the client and its proxies.
func rewrite(p *httputil.ProxyRequest, address string) {
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "https", address, p.In.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := p.In.Header.Values(name); len(values) > 0 {
			p.Out.Header[name] = values
		}
	}
	p.Out.Header.Del(findHeader)
	p.Out.Header.Set(clientHeader, p.In.RemoteAddr)
}

// timedBody bounds the time of each read from the client. Without it, a client that announced a body and sent none kept
// its place for ever, whatever the owner had answered.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	send    time.Duration
}

// Read implements io.Reader. The owner may take longer with the whole body.
func (b *timedBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.send)) // a test's writer has none
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// timedWriter bounds the time of each write to the client.
type timedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	send    time.Duration
}

// Write implements io.Writer.
func (w *timedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.send)) // a test's writer has none
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
