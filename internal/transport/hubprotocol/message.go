package hubprotocol

import "encoding/json"

// MessageType is the type number of a hub message (section 1.6).
type MessageType int

// The hub messages. Clients may send others, which the server ignores (D4).
const (
	TypeInvocation       MessageType = 1
	TypeStreamItem       MessageType = 2
	TypeCompletion       MessageType = 3
	TypeStreamInvocation MessageType = 4
	TypeCancelInvocation MessageType = 5
	TypePing             MessageType = 6
	TypeClose            MessageType = 7
	TypeAck              MessageType = 8
	TypeSequence         MessageType = 9
)

// Invocation is a decoded call of a client. It has the fields of hub.Invocation, so that the transport converts a
// pointer instead of copying.
type Invocation struct {
	// ID is empty for a call that wants no answer, not even an error.
	ID     string
	Target string
	// Arguments are the JSON texts of the arguments, in both protocols.
	Arguments []json.RawMessage
	// Streams is the number of stream ids of the call.
	Streams int
	// Streaming reports whether the client asked for a stream (StreamInvocation).
	Streaming bool
	// Malformed reports whether the arguments could not be read: the call then fails alone, as one whose arguments do not
	// bind. Arguments is empty.
	Malformed bool
	// Traceparent is the trace of the caller (W3C Trace Context), unchecked; empty: none.
	Traceparent string
}

// Completion is the answer to an Invocation that has an ID. It has the fields of hub.Completion, as Invocation has
// those of hub.Invocation.
type Completion struct {
	ID string
	// Error is the text for the client; empty: the call succeeded.
	Error string
	// Result is what the method returned: nil, a boolean, a string, an integer, a time, a struct with names in its json
	// tags, or a pointer to or a slice of these, or a List.
	Result any
	// Size is about how many bytes the result takes; 0: it is small.
	Size int
	// Record is the completion as a JSON hub message without its record separator; nil: it is made from the fields above.
	Record []byte
}
