package events

// Definition describes an event type.
type Definition struct {
	// Name is the event type as published, for instance "UserStatus".
	Name string
	// Kind is the kind of the entities that have the event.
	Kind Kind
	// TTLSeconds is the MessageTTLSeconds that publishers are expected to send; -1: the event never expires.
	TTLSeconds int
	// ConflationKey are the properties that identify a state: of two events with equal values, only the newer one is worth
	// delivering. It is empty for events that report a step of a call, of which each one counts.
	ConflationKey []string
	// Description is one sentence about the event.
	Description string
	// Properties are the event's own properties. All events also have the properties of Catalog.Envelope.
	Properties []Property

	derived
}

// State reports whether events of this type are states: each replaces the one before it (UserStatus). Other events
// report a step of a call. Only states may be conflated for a slow client and be part of a snapshot.
func (d *Definition) State() bool { return len(d.ConflationKey) > 0 }

// Several reports whether a topic has several states at a time (CallbackChanged: one for each callback).
func (d *Definition) Several() bool { return len(d.keys) > 0 }

// LowerName returns the name in lower case, as in SubscriptionResult.
func (d *Definition) LowerName() string { return d.lower }

// Property is one property of an event.
type Property struct {
	// Name is the name in Pascal case, as publishers write it.
	Name string
	// Published is the type as the catalog spells it, for instance "Guid?". Type, Nullable and Element are its parts.
	Published string
	Type      ValueType
	// Nullable properties may be null or absent.
	Nullable bool
	// Element is the name of the type of a list's elements. The properties of elements are not known.
	Element string
	// Envelope properties belong to all events and are never null.
	Envelope bool
	// Enum has the known values; nil if the property is not an enumeration.
	Enum *Enum
	// Personal properties name or reach a person, or are free text: see Catalog.AppendMasked.
	Personal bool
	// Place is where the published page describes the property.
	Place       Place
	Description string
}

// Required reports whether every event of the type must have the property.
func (p *Property) Required() bool { return !p.Nullable && p.Place != InTable }

// AllowsNull reports whether the property may be null. Properties with a reference type in C# may always be null.
func (p *Property) AllowsNull() bool {
	if p.Envelope {
		return false
	}
	switch p.Type {
	case TypeString, TypeDictionary, TypeList, TypeObject:
		return true
	default:
		return p.Nullable
	}
}

// Place is where the published page describes a property.
type Place uint8

// The places. Properties of customers' own events have InBoth.
const (
	InBoth Place = iota
	InSample
	InTable
)

// Enum is a set of values of properties.
type Enum struct {
	Name        string
	Description string
	// Type is TypeString, TypeShort, TypeInt, TypeLong, or TypeEnum if only the name of the enumeration is known.
	Type ValueType
	// Closed enumerations have no other values than Values.
	Closed bool
	Values []EnumValue
}

// EnumValue is one value of an Enum.
type EnumValue struct {
	// Name is the value itself in an enumeration of strings, and the name of the number in others.
	Name        string
	Number      int
	Description string
}

// ValueType is the type of a property's values.
type ValueType uint8

// The types of properties, with their form in JSON.
const (
	TypeString     ValueType = iota // a string
	TypeBool                        // true or false
	TypeShort                       // an integer of 16 bits
	TypeInt                         // an integer of 32 bits
	TypeLong                        // an integer of 64 bits
	TypeDouble                      // a number
	TypeDecimal                     // a number
	TypeGUID                        // a string of 36 characters
	TypeDateTime                    // a string, ISO 8601, the zone optional
	TypeEnum                        // a number, or the name of the value
	TypeDictionary                  // an object whose property names are data
	TypeList                        // an array of objects
	TypeObject                      // an object

	typeCount
)

var typeNames = [typeCount]string{
	TypeString:     "string",
	TypeBool:       "bool",
	TypeShort:      "short",
	TypeInt:        "int",
	TypeLong:       "long",
	TypeDouble:     "double",
	TypeDecimal:    "decimal",
	TypeGUID:       "Guid",
	TypeDateTime:   "DateTime",
	TypeEnum:       "enum",
	TypeDictionary: "Dictionary<string, string>",
	TypeList:       "List",
	TypeObject:     "object",
}

// String returns the name of the type in C#.
func (t ValueType) String() string {
	if t >= typeCount {
		return "invalid"
	}
	return typeNames[t]
}

// parseValueType returns the type with a name in C#, without a question mark. element is the type of a list's elements.
func parseValueType(name string) (t ValueType, element string, ok bool) {
	const list = "List<"
	if len(name) > len(list)+1 && name[:len(list)] == list && name[len(name)-1] == '>' {
		return TypeList, name[len(list) : len(name)-1], true
	}
	if name == "String" { // the name in .NET of the same type
		return TypeString, "", true
	}
	for t := range typeCount {
		if t != TypeEnum && t != TypeList && typeNames[t] == name {
			return t, "", true
		}
	}
	return 0, "", false
}
