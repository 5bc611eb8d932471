package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rte-server/rte-server/internal/diagnosis"
	"github.com/rte-server/rte-server/internal/events"
)

// statusError is an unexpected status of an HTTPSource.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("directory returned status %d", int(e)) }

// Diagnose reads the entity 00000000-0000-0000-0000-000000000000, which does not exist, and returns the result. timeout
// is the time limit of a reading on a node.
func (s *HTTPSource) Diagnose(ctx context.Context, timeout time.Duration) diagnosis.Finding {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := diagnosis.Finding{Subject: "directory", Check: "read", Status: diagnosis.OK}
	if u, err := url.Parse(s.options.URL); err == nil {
		f.Subject += " " + u.Host
	}
	began := time.Now()
	err := s.Records(ctx, []events.ID{{}}, make([]*Record, 1))
	if err == nil {
		f.Detail = "it answered in " + time.Since(began).Round(time.Millisecond).String()
		return f
	}
	f.Status, f.Detail = diagnosis.Failed, err.Error()
	f.Next = "let it answer as docs/authorization.md says"
	var status statusError
	switch failed, inTransit := errors.AsType[*url.Error](err); {
	case inTransit:
		f.Detail, f.Next = diagnosis.Cause(failed.Err, "directory.url", "")
	case errors.As(err, &status) && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		f.Next = "correct directory.token"
	case errors.As(err, &status) && status >= 300 && status < 400:
		f.Next = "name the final URL in directory.url: redirects are not followed"
	case errors.As(err, &status) && status < 500:
		f.Next = "correct directory.url"
	case errors.As(err, &status):
		f.Next = "look at the log of the directory"
	}
	return f
}
