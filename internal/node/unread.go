package node

import (
	"io"
	"net/http"
	"time"
)

const (
	// unreadBytes and unreadTime bound the rest of a body that a server reads after the answer.
	unreadBytes = 16 << 20
	unreadTime  = time.Second
)

// takeUnread reads the rest of the body of a request after its handler, if the connection ends with the answer. A
// connection that closes with unread bytes ends with a reset: the caller then fails while it sends, and does not see
// the answer. net/http reads the rest only where the connection goes on.
func takeUnread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body // a handler may replace it
		next.ServeHTTP(w, r)
		// An upgrade is a GET. Its connection belongs to the session.
		if r.ContentLength == 0 || r.Method == http.MethodGet || !r.Close && w.Header().Get("Connection") != "close" {
			return
		}
		control := http.NewResponseController(w)
		if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(unreadTime)) != nil {
			return
		}
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, body, unreadBytes)) // the answer is sent in any case
	})
}
