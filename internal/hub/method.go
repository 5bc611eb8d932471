package hub

import (
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
// error for the client in the words of ASP.NET Core (section 1.7), in its order: first arguments that do not bind, then
// calls of a wrong kind.
func (h *Hub) check(inv *Invocation) (m method, requests []authz.Request, refusal string) {
	m = methodOf(inv.Target)
	if m == methodUnknown {
		return m, nil, failedToInvoke(inv.Target) + " HubException: Method does not exist."
	}
	requests, problem := bind(m, inv, h.options.Limits.ArgumentBytes)
	switch {
	case problem != "":
		return m, nil, h.detailed(failedToInvoke(inv.Target), "InvalidDataException", problem)
	case inv.Streaming:
		return m, nil, "The client attempted to invoke the non-streaming '" + inv.Target +
			"' method with a streaming invocation."
	case inv.Streams != 0:
		return m, nil, fmt.Sprintf("%s HubException: Client sent %d stream(s), Hub method expects 0.",
			unexpectedError(inv.Target), inv.Streams)
	}
	return m, requests, ""
}

// notBound is the problem of arguments that are not what the method expects.
const notBound = "Error binding arguments. Make sure that the types of the provided values match the types of the " +
	"hub " +
	"method being invoked."

// bind checks number and shape of the arguments of a method, and reads the list of Subscribe and Unsubscribe. It
// returns a problem if they do not fit.
func bind(m method, inv *Invocation, argumentBytes int) (requests []authz.Request, problem string) {
	least, most := 0, 0
	switch m {
	case methodSubscribe, methodUnsubscribe:
		least, most = 1, 1
	case methodAvailableSubscriptions:
		most = 1 // the sample of the published API passes an argument, which has no meaning
	}
	switch n := len(inv.Arguments); {
	case inv.Malformed:
		return nil, notBound
	case n < least || n > most:
		return nil, fmt.Sprintf("Invocation provides %d argument(s) but target expects %d.", n, least)
	case least == 0:
		return nil, ""
	case len(inv.Arguments[0]) > argumentBytes:
		return nil, fmt.Sprintf("The argument has more than %d bytes.", argumentBytes)
	}
	requests, ok := readRequests(inv.Arguments[0])
	if !ok {
		return nil, notBound
	}
	return requests, ""
}

// detailed returns an error of ASP.NET Core, with the exception behind it if Options.DetailedErrors is set.
func (h *Hub) detailed(text, exception, message string) string {
	if !h.options.DetailedErrors {
		return text
	}
	return text + " " + exception + ": " + message
}

// failedToInvoke returns the error of ASP.NET Core for a call that does not fit its method.
func failedToInvoke(target string) string {
	return "Failed to invoke '" + target + "' due to an error on the server."
}

// unexpectedError returns the error of ASP.NET Core for a method that threw an exception.
func unexpectedError(target string) string {
	return "An unexpected error occurred invoking '" + target + "' on the server."
}
