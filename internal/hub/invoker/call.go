package invoker

import (
	"bytes"
	"encoding/json"
)

// Call is one invocation. The caller sets the exported fields and does not touch the Call again until Invoke returns.
type Call struct {
	// Method is the name of the method. It appears in the log if Run panics.
	Method string
	// Run runs the method once, on a goroutine of the library. The library encodes its result, which must not be nil and
	// must be encodable as JSON (H11, H12). Run should return soon after the context of Invoke has ended.
	Run func() any
	// ID is the invocation id that the completion in Record carries. Empty: the caller wants no record.
	ID string

	// Owned by the loop until done is closed.
	id      string        // of the message that the library reads; no other call has it
	running bool          // Run has begun; guarded by the mutex of the loop
	done    chan struct{} // closed when the call has ended
	outcome Outcome
	record  []byte
}

// Outcome is the way in which a Call ended.
type Outcome uint8

const (
	// OK means that Run returned.
	OK Outcome = iota
	// Invalid means that the library refused the message of the call.
	Invalid
	// Failed means that Run panicked, or that the loop or the Invoker ended first.
	Failed
	// TimedOut means that no place became free before the deadline of the context. Run was not called.
	TimedOut
	// Abandoned means that the context was canceled before a place became free. Run was not called.
	Abandoned
	// Canceled means that the client canceled the call before its answer. Invoke does not return it.
	Canceled
	// NumOutcomes is the number of outcomes.
	NumOutcomes
)

// String returns the outcome as a metric label.
func (o Outcome) String() string {
	return [NumOutcomes]string{"ok", "invalid", "failed", "timeout", "abandoned", "canceled"}[o]
}

// Record returns the completion as a JSON hub message without the record separator. It is nil unless the call has an
// ID and ended with OK. It may be called once Invoke has returned.
func (c *Call) Record() []byte { return c.record }

// complete ends the call with the rest of a completion of the library, from behind the invocation id.
func (c *Call) complete(rest []byte) {
	switch {
	case bytes.HasPrefix(rest, []byte(`,"error":`)):
		// The library's own text contains Go types and quotes what it read, so it is dropped. It can only mean that the
		// message did not bind: methods return no errors and do not panic into the library (H8, H10).
		c.outcome = Invalid
	case c.ID != "" && c.outcome == OK:
		id, _ := json.Marshal(c.ID) // a string can always be encoded
		c.record = make([]byte, 0, len(completionStart)+len(id)+len(rest))
		c.record = append(c.record, completionStart...)
		c.record = append(c.record, id...)
		c.record = append(c.record, rest...)
	}
	close(c.done)
}

// fail ends a call that the library will not answer.
func (c *Call) fail(how Outcome) {
	c.outcome = how
	close(c.done)
}
