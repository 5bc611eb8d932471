package events

// Definition says what is known of an event type.
type Definition struct {
	// Name is the event type as published, for instance "UserStatus".
	Name string
	// Kind is the kind of entity that the event is about. It is not available for other kinds.
	Kind Kind
	// TTLSeconds is the MessageTTLSeconds that publishers are expected to send; -1: the event never expires.
	TTLSeconds int
	// ConflationKey are the properties that say which event replaces which: of two events with equal values
	// only the newer one is worth delivering. Empty for events that tell a step of a call, where each counts.
	ConflationKey []string
	// Properties are those of the event itself; every event also has those of Envelope.
	Properties []Property

	number       Type     // of the catalogue that the definition is in
	lower        string   // Name in lower case
	dictionaries []string // dictionary-typed properties, in Pascal and in camel case
}

// State says whether an event replaces the one before it (UserStatus), as opposed to telling a step of a
// call. Only state events may be conflated for a slow client and served as a snapshot.
func (d *Definition) State() bool { return len(d.ConflationKey) > 0 }

// LowerName is the name as SubscriptionResult carries it.
func (d *Definition) LowerName() string { return d.lower }

// Property is one property of an event.
type Property struct {
	Name string
	Type ValueType
}

// ValueType is the type of a property.
type ValueType uint8

// The types that properties have.
const (
	TypeString ValueType = iota
	TypeDictionary
)
