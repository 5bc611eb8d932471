package events

import "errors"

// ErrMalformed is wrapped by every error of Decode and of the encoders.
var ErrMalformed = errors.New("malformed event")

// Reason says what is wrong with a published message. As an error it is an ErrMalformed; it never quotes the
// message. The zero value means that nothing is wrong and is never returned as an error.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	reasonNone Reason = iota
	// ReasonTooLarge: longer than the catalog allows, see Catalog.Limit.
	ReasonTooLarge
	// ReasonNotJSON: not well-formed JSON (RFC 8259), or something follows the object.
	ReasonNotJSON
	// ReasonNotObject: well begun, but an array, a string, a number or a literal.
	ReasonNotObject
	// ReasonInvalidUTF8: the text is not UTF-8. Found by the encoders: a browser closes a connection on which
	// it arrives.
	ReasonInvalidUTF8
	// ReasonTooDeep: nested deeper than 64 levels, which .NET clients refuse to read.
	ReasonTooDeep
	// ReasonDuplicateField: a routing field stands twice, so that readers could disagree on where it belongs.
	ReasonDuplicateField
	// ReasonNoEvent: EventType is absent or not a string.
	ReasonNoEvent
	// ReasonUnknownEvent: the catalog does not have the EventType.
	ReasonUnknownEvent
	// ReasonWrongEntityType: EntityType is absent or not the kind of entity that the catalog has for the event.
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

// Reasons are all reasons, for counters that want every label value from the start.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := reasonNone + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// ReasonOf finds the Reason in an error of this package; ok is false if there is none.
func ReasonOf(err error) (r Reason, ok bool) {
	ok = errors.As(err, &r)
	return r, ok
}

// String is the machine-readable name, for instance "not_json".
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
