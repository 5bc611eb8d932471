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
	// Description says in a sentence what the event tells.
	Description string
	// Properties are those of the event itself; every event also has those of Catalog.Envelope.
	Properties []Property

	derived
}

// State says whether an event replaces the one before it (UserStatus), as opposed to telling a step of a
// call. Only state events may be conflated for a slow client and served as a snapshot.
func (d *Definition) State() bool { return len(d.ConflationKey) > 0 }

// Several says whether a topic has several states at a time (CallbackChanged: one for each callback).
func (d *Definition) Several() bool { return len(d.keys) > 0 }

// LowerName is the name as SubscriptionResult carries it.
func (d *Definition) LowerName() string { return d.lower }

// Property is one property of an event.
type Property struct {
	// Name is spelled as publishers write it, in Pascal case.
	Name string
	// Published is the type as the catalog spells it, for instance "Guid?"; Type, Nullable and Element are
	// what it says.
	Published string
	Type      ValueType
	// Nullable properties may be null, and may be absent.
	Nullable bool
	// Element names what a list is made of. Nothing is known about the properties of an element.
	Element string
	// Envelope properties belong to every event, and are never null.
	Envelope bool
	// Enum are the known values; nil if any value of the type will do.
	Enum *Enum
	// Place says where the published page has the property.
	Place       Place
	Description string
}

// Required says whether every event of the type has the property.
func (p *Property) Required() bool { return !p.Nullable && p.Place != InTable }

// AllowsNull says whether the property may be null. What is a reference in C# may be, whatever is published.
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

// Place says where the published page has a property.
type Place uint8

// The places. Properties of customers' own events are counted as standing in both.
const (
	InBoth Place = iota
	InSample
	InTable
)

// Enum is a set of values that a property takes.
type Enum struct {
	Name        string
	Description string
	// Type is TypeString, TypeShort, TypeInt, TypeLong, or TypeEnum if it is known by name only.
	Type ValueType
	// Closed enumerations have no other values than these.
	Closed bool
	Values []EnumValue
}

// EnumValue is one value of an Enum.
type EnumValue struct {
	// Name is the value itself if the enumeration is of strings, and what a number is called otherwise.
	Name        string
	Number      int
	Description string
}

// ValueType is the type of a property's values.
type ValueType uint8

// The types that properties have, and how JSON has them.
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

// String is the name of the type in C#.
func (t ValueType) String() string {
	if t >= typeCount {
		return "invalid"
	}
	return typeNames[t]
}

// parseValueType finds a type by its name in C#, without a question mark. element is what a list is made of.
func parseValueType(name string) (t ValueType, element string, ok bool) {
	const list = "List<"
	if len(name) > len(list)+1 && name[:len(list)] == list && name[len(name)-1] == '>' {
		return TypeList, name[len(list) : len(name)-1], true
	}
	if name == "String" { // of .NET, the same type as string
		return TypeString, "", true
	}
	for t := range typeCount {
		if t != TypeEnum && t != TypeList && typeNames[t] == name {
			return t, "", true
		}
	}
	return 0, "", false
}
