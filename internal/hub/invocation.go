package hub

import (
	"context"
	"encoding/json"
	"errors"
)

// ErrCanceled is the cause for which the context of a call ends that its client has canceled.
var ErrCanceled = errors.New("hub: the client has canceled the call")

// canceled reports whether the client has canceled the call with a context.
func canceled(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrCanceled) }

// Invocation is a call of a client, split into its parts by the transport and not yet checked.
type Invocation struct {
	// ID is empty for a call that wants no answer, not even an error.
	ID     string
	Target string
	// Arguments are the JSON texts of the arguments, whatever protocol they came in.
	Arguments []json.RawMessage
	// Streams is the number of stream ids that came with the call.
	Streams int
	// Streaming is true if the client asked for a stream (StreamInvocation).
	Streaming bool
	// Malformed reports whether the arguments could not be read: the call then fails alone, as one whose arguments do not
	// bind. Arguments is empty.
	Malformed bool
	// Traceparent is the trace of the caller (W3C Trace Context), unchecked; empty: none.
	Traceparent string
}

// Completion is the answer to an Invocation that has an ID.
type Completion struct {
	ID string
	// Error is the text for the client. Empty: the call succeeded.
	Error string
	// Result is the result of the method: []SubscriptionResult, bool, []string, []Subscription or SubscriptionList.
	Result any
	// Size is about how many bytes the result takes; 0: it is small.
	Size int
	// Record is the completion as a JSON hub message without the record separator. nil: it has to be made from the fields
	// above.
	Record []byte
}

// SubscriptionResult is the answer to one item of Subscribe and Unsubscribe.
type SubscriptionResult struct {
	Subscribed bool    `json:"subscribed"`
	Message    *string `json:"message"`
	EntityID   string  `json:"entityId"`
	EventName  string  `json:"eventName"`
	// Code has the meaning of Subscribed and Message in a stable word. It is sent only to clients with Features.Notices;
	// for all others it is empty and left out.
	Code string `json:"code,omitempty"`
	// TraceID identifies the refusal for an operator, see Hub.Refusal. Empty: there is none, and it is left out.
	TraceID string `json:"traceId,omitempty"`
}

// Subscription is an active subscription as ActiveSubscriptions lists it and MessageReceived carries it.
type Subscription struct {
	ID              string `json:"id"`
	AllRootEntities bool   `json:"allRootEntities"`
	RootEntityID    string `json:"rootEntityId"`
	RootEntityType  string `json:"rootEntityType"`
	OrganizationID  string `json:"organizationId"`
	EventType       string `json:"eventType"`
	EntityType      string `json:"entityType"`
	EntityID        string `json:"entityId"`
	AllEntities     bool   `json:"allEntities"`
}
