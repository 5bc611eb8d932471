package hub

import (
	"bytes"
	"errors"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/jsonscan"
)

// maxDepth is how deep an argument may nest: the 64 levels that ASP.NET Core reads, less the two of the message around
// it.
const maxDepth = 62

// errNotRequest is returned for an element that is no request.
var errNotRequest = errors.New("not a request")

// readRequests reads the argument of Subscribe and Unsubscribe: a JSON array of objects. It accepts exactly what
// encoding/json would decode into requests, in two allocations however many there are. ok is false for other text. The
// values are parts of one string, which is bounded as the argument is.
func readRequests(text []byte) (requests []authz.Request, ok bool) {
	var values strings.Builder
	values.Grow(len(text))
	requests = make([]authz.Request, 0, bytes.Count(text, []byte("{")))
	err := jsonscan.Elements(text, maxDepth, func(element []byte) error {
		var r authz.Request
		err := readRequest(element, &r, &values)
		requests = append(requests, r)
		return err
	})
	return requests, err == nil
}

// readRequest reads an element: an object, or null for an empty request. Names match in any case, unknown members are
// skipped, and null does not change a field. values keeps the text of the fields.
func readRequest(element []byte, r *authz.Request, values *strings.Builder) error {
	if string(element) == "null" {
		return nil
	}
	return jsonscan.Members(element, maxDepth-1, func(name, value []byte) error {
		var field *string
		switch {
		case bytes.EqualFold(name, []byte("EntityId")):
			field = &r.EntityID
		case bytes.EqualFold(name, []byte("EventName")):
			field = &r.EventName
		}
		if field == nil || string(value) == "null" {
			return nil
		}
		text, ok := jsonscan.Unquote(value)
		if !ok {
			return errNotRequest
		}
		start := values.Len()
		values.Write(text)
		*field = values.String()[start:]
		return nil
	})
}
