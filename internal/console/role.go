package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// operatorRole is what a token of the operator port may do.
type operatorRole string

const (
	roleNone operatorRole = ""
	// roleOperator may do everything.
	roleOperator operatorRole = "operator"
	// roleReader may read what contains no payload.
	roleReader operatorRole = "reader"
	// rolePublisher may publish.
	rolePublisher operatorRole = "publisher"
)

// allows reports whether the role may make a request.
func (o operatorRole) allows(r *http.Request) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads && r.URL.Path == whoamiPath {
		return o != roleNone
	}
	switch o {
	case roleOperator:
		return true
	case roleReader:
		// Both may contain parts of events.
		return reads && r.URL.Path != "/api/quarantine" && !strings.HasPrefix(r.URL.Path, "/debug/") &&
			(r.URL.Path != tapPath || !slices.Contains(r.URL.Query()["data"], dataFull))
	case rolePublisher:
		return r.Method == http.MethodPost && r.URL.Path == publishPath
	default:
		return false
	}
}

// roleOf returns the role of a token. It compares with the tokens of all roles, so that its time says nothing.
func (a *access) roleOf(operator, sent string) operatorRole {
	role := roleNone
	got := sha256.Sum256([]byte(sent))
	compare := func(of operatorRole, token string) {
		want := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 && token != "" {
			role = of
		}
	}
	for of, token := range *a.others.Load() {
		compare(of, token)
	}
	compare(roleOperator, operator) // last: it decides where two roles have the same token
	return role
}

// roleKey is the key of the role in the context of a request.
type roleKey struct{}

// roleIn returns the role of the request with a context.
func roleIn(ctx context.Context) operatorRole {
	role, _ := ctx.Value(roleKey{}).(operatorRole)
	return role
}

// maxAudited is the part of a query that the audit log gets, in bytes.
const maxAudited = 256

// record writes an entry of the audit log for each request of the operator API. Publishing has metrics instead.
func (a *access) record(role operatorRole, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.audit == nil || !strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == publishPath {
			next.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), roleKey{}, role))
		answered := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answered, r)
		query := r.URL.RawQuery
		a.audit.Info("operator", zap.String("who", string(role)), zap.String("remote", r.RemoteAddr),
			zap.String("method", r.Method), zap.String("path", r.URL.Path[:min(len(r.URL.Path), maxAudited)]),
			zap.String("query", query[:min(len(query), maxAudited)]), zap.Int("status", answered.status))
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
