package events

import "strings"

// Type is the number of an event type in a Catalog. The zero value is no type.
// Numbers are not stable between catalogues and never leave the process.
type Type uint16

// Definition says what is known of an event type.
type Definition struct {
	// Name is the event type as published, for instance "UserStatus".
	Name string
	// Kind is the kind of entity that the event is about. It is not available for other kinds.
	Kind Kind
	// TTLSeconds is the MessageTTLSeconds that publishers are expected to send; -1: the event never expires.
	TTLSeconds int
}

// State says whether an event replaces the one before it (UserStatus), as opposed to telling a step of a
// call. Only state events may be conflated for a slow client and served as a snapshot.
func (d *Definition) State() bool { return d.TTLSeconds >= 0 }

// LowerName is the name as SubscriptionResult carries it.
func (d *Definition) LowerName() string { return strings.ToLower(d.Name) }

// Catalog is the set of event types that a server knows. It does not change once it is built.
type Catalog struct {
	definitions []Definition    // by Type - 1
	byName      map[string]Type // by lower-case name, aliases included
}

// Builtin is the catalogue of the 31 published events.
func Builtin() *Catalog {
	c := &Catalog{byName: map[string]Type{}}
	for _, d := range builtin {
		c.definitions = append(c.definitions, d)
		c.byName[strings.ToLower(d.Name)] = Type(len(c.definitions))
	}
	// The text of the published API spells these two in another way than its samples.
	c.byName["usercallincoming"] = c.byName["usercallincoming"]
	return c
}

// Lookup finds an event type by its name in any case.
func (c *Catalog) Lookup(name string) (Type, bool) {
	t, ok := c.byName[strings.ToLower(name)]
	return t, ok
}

// Definition is what is known of a type of this catalogue; nil for the zero Type.
func (c *Catalog) Definition(t Type) *Definition {
	if t == 0 || int(t) > len(c.definitions) {
		return nil
	}
	return &c.definitions[t-1]
}

// Names are the names of all types, in the order of the catalogue.
func (c *Catalog) Names() []string {
	names := make([]string, len(c.definitions))
	for i := range c.definitions {
		names[i] = c.definitions[i].Name
	}
	return names
}

var builtin = []Definition{
	{"UserAlert", KindUser, -1},
	{"UserAvailability", KindUser, -1},
	{"UserStatus", KindUser, 60},
	{"QueueStatus", KindQueue, 60},
	{"CallbackChanged", KindCallList, 120},
}
