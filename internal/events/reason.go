package events

import "errors"

// ErrMalformed is wrapped by every error of Decode and of the encoders.
var ErrMalformed = errors.New("malformed event")

// Reason is why a published message is refused. As an error it wraps ErrMalformed and never quotes the message. The
// zero value means that the message is right; it is never returned as an error.
type Reason uint8

// The reasons, in the order of the checks.
const (
	reasonNone Reason = iota
	// ReasonTooLarge: larger than the catalog allows, see Catalog.Limit.
	ReasonTooLarge
	// ReasonNotJSON: not well-formed JSON (RFC 8259), or more text follows the object.
	ReasonNotJSON
	// ReasonNotObject: begins as an array, a string, a number or a literal.
	ReasonNotObject
	// ReasonInvalidUTF8: the text is not UTF-8. A browser closes the connection when it receives such text. The encoders
	// check this.
	ReasonInvalidUTF8
	// ReasonTooDeep: nested deeper than 61 levels. With the message around the event, .NET clients read 64.
	ReasonTooDeep
	// ReasonDuplicateField: a routing field occurs twice, so readers could disagree on the topic.
	ReasonDuplicateField
	// ReasonNoEvent: EventType is absent or not a string.
	ReasonNoEvent
	// ReasonUnknownEvent: the EventType is not in the catalog.
	ReasonUnknownEvent
	// ReasonWrongEntityType: EntityType is absent or not the event's kind in the catalog.
	ReasonWrongEntityType
	// ReasonNoEntity: EntityId is absent or not a GUID.
	ReasonNoEntity
	// ReasonNoOrganization: no OrganizationId and no RootEntityId of an Organization, or not a GUID.
	ReasonNoOrganization

	reasonCount
)

var reasonNames = [reasonCount]string{
	reasonNone:            "none",
	ReasonTooLarge:        "too_large",
	ReasonNotJSON:         "not_json",
	ReasonNotObject:       "not_object",
	ReasonInvalidUTF8:     "invalid_utf8",
	ReasonTooDeep:         "too_deep",
	ReasonDuplicateField:  "duplicate_field",
	ReasonNoEvent:         "no_event",
	ReasonUnknownEvent:    "unknown_event",
	ReasonWrongEntityType: "wrong_entity_type",
	ReasonNoEntity:        "no_entity",
	ReasonNoOrganization:  "no_organization",
}

// Reasons returns all reasons, for counters that need every label value from the start.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := reasonNone + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// ReasonOf returns the Reason in an error of this package; ok is false if it has none.
func ReasonOf(err error) (r Reason, ok bool) {
	ok = errors.As(err, &r)
	return r, ok
}

// String returns the machine-readable name, for instance "not_json".
func (r Reason) String() string {
	if r >= reasonCount {
		return "invalid"
	}
	return reasonNames[r]
}

// Error makes a Reason an error.
func (r Reason) Error() string { return ErrMalformed.Error() + ": " + r.String() }

// Is makes errors.Is(r, ErrMalformed) true.
func (r Reason) Is(target error) bool { return target == ErrMalformed }
