package hub

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
)

// method is one of the methods that clients can call.
type method uint8

const (
	methodUnknown method = iota
	methodSubscribe
	methodUnsubscribe
	methodUnsubscribeAll
	methodAvailableSubscriptions
	methodActiveSubscriptions
	numMethods
)

// String returns the name of the method on the wire and as a metric label.
func (m method) String() string {
	return [numMethods]string{
		"unknown", "Subscribe", "Unsubscribe", "UnsubscribeAll", "AvailableSubscriptions", "ActiveSubscriptions",
	}[m]
}

// methodOf finds a method by its name in any case (D1).
func methodOf(target string) method {
	for m := methodUnknown + 1; m < numMethods; m++ {
		if strings.EqualFold(target, m.String()) {
			return m
		}
	}
	return methodUnknown
}

// check checks a call before it reaches the invoker (H8). It returns the items of Subscribe and Unsubscribe, or the
// error for the client in the words of ASP.NET Core without detailed errors (section 1.7), in its order: first
// arguments that do not bind, then calls of a wrong kind.
func check(inv *Invocation, argumentBytes int) (m method, requests []authz.Request, refusal string) {
	m = methodOf(inv.Target)
	if m == methodUnknown {
		return m, nil, failedToInvoke(inv.Target) + " HubException: Method does not exist."
	}
	requests, ok := bind(m, inv.Arguments, argumentBytes)
	switch {
	case inv.Malformed || !ok:
		return m, nil, failedToInvoke(inv.Target)
	case inv.Streaming:
		return m, nil, "The client attempted to invoke the non-streaming '" + inv.Target +
			"' method with a streaming invocation."
	case inv.Streams != 0:
		return m, nil, fmt.Sprintf("%s HubException: Client sent %d stream(s), Hub method expects 0.",
			unexpectedError(inv.Target), inv.Streams)
	}
	return m, requests, ""
}

// bind checks number and shape of the arguments of a method, and reads the list of Subscribe and Unsubscribe.
func bind(m method, arguments []json.RawMessage, argumentBytes int) (requests []authz.Request, ok bool) {
	switch m {
	case methodSubscribe, methodUnsubscribe:
		if len(arguments) != 1 || len(arguments[0]) > argumentBytes {
			return nil, false
		}
		return readRequests(arguments[0])
	case methodAvailableSubscriptions:
		// The sample of the published API passes an argument, which has no meaning.
		return nil, len(arguments) <= 1
	default:
		return nil, len(arguments) == 0
	}
}

// failedToInvoke returns the error of ASP.NET Core for a call that does not fit its method.
func failedToInvoke(target string) string {
	return "Failed to invoke '" + target + "' due to an error on the server."
}

// unexpectedError returns the error of ASP.NET Core for a method that threw an exception.
func unexpectedError(target string) string {
	return "An unexpected error occurred invoking '" + target + "' on the server."
}
