package events

import (
	_ "embed" // for the catalog
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./generate -root ../..

// Type is the number of an event type in a Catalog. The zero value is not a type. The types of Builtin have the same
// numbers in every catalog. The numbers stay inside the process.
type Type uint16

// DefaultLimit is the maximum size of a published message in bytes.
const DefaultLimit = 64 << 10

// never is the TTLSeconds of events that do not expire.
const never = -1

// Catalog is the set of event types of a server. It is immutable, and may be used from any goroutine.
type Catalog struct {
	enums       []*Enum
	envelope    []Property
	definitions []Definition    // by Type - 1
	byName      map[string]Type // by name as published
	byLower     map[string]Type // by lower-case name
	unknown     derived         // of types that the catalog lacks
	limit       int             // maximum bytes of a message
}

// derived are the parts of a definition for the hot path.
type derived struct {
	lower        string            // Name in lower case
	dictionaries nameSet           // properties of type dictionary, in Pascal and in camel case
	dateTimes    nameSet           // properties of type DateTime, in Pascal and in camel case
	pascal       map[string]string // names in Pascal case by names in camel case, the envelope's included
	keys         []keyName         // properties of ConflationKey that are not part of the topic
	plain        nameSet           // properties without personal values, in both cases, also of the envelope
}

// typeEventType is the type that typeOf returns for EventType.
const typeEventType = typeCount

// typeOf returns the type of a top-level property, in Pascal or camel case, as far as the encoders need it:
// TypeDateTime, TypeDictionary, typeEventType, or TypeObject for all other types.
func (d *derived) typeOf(name []byte) ValueType {
	switch {
	case d.dateTimes.has(name):
		return TypeDateTime
	case d.dictionaries.has(name):
		return TypeDictionary
	case isEventType(name):
		return typeEventType
	default:
		return TypeObject
	}
}

func isEventType(name []byte) bool {
	return len(name) == len("EventType") && (string(name) == "EventType" || string(name) == "eventType")
}

// isNamed reports whether a JSON string is the name of the event type in any case.
func (d *derived) isNamed(value []byte) bool {
	var text, lower [maxShort]byte
	name := shortText(text[:0], value)
	return len(name) == len(d.lower) && string(lowerASCII(lower[:0], name)) == d.lower
}

//go:embed catalog.yaml
var builtinFile []byte

// builtin reads the file once: the catalog is immutable, and tests use it often.
var builtin = sync.OnceValue(func() *Catalog {
	s, err := readCatalog(builtinFile, nil)
	if err != nil {
		panic(fmt.Sprintf("[unexpected] catalog.yaml: %v", err))
	}
	return newCatalog(s)
})

// Builtin returns the catalog of the 31 published events, in the order of the published page.
func Builtin() *Catalog { return builtin() }

// LoadCatalog returns Builtin together with the events of text, a YAML or JSON file in the form of catalog.yaml. The
// error names the wrong entry.
func LoadCatalog(text []byte) (*Catalog, error) {
	s, err := readCatalog(text, Builtin())
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return newCatalog(s), nil
}

func newCatalog(s *source) *Catalog {
	c := &Catalog{
		enums: s.enums, envelope: s.envelope, definitions: s.definitions,
		byName: map[string]Type{}, byLower: map[string]Type{}, limit: DefaultLimit,
	}
	c.unknown = derive(&Definition{}, s.envelope)
	for i := range c.definitions {
		d := &c.definitions[i]
		d.derived = derive(d, s.envelope)
		c.byName[d.Name] = Type(i + 1)
		c.byLower[d.lower] = Type(i + 1)
	}
	return c
}

func derive(d *Definition, envelope []Property) derived {
	v := derived{lower: strings.ToLower(d.Name), pascal: map[string]string{}}
	for _, p := range slices.Concat(envelope, d.Properties) {
		camel := CamelCase(p.Name)
		v.pascal[camel] = p.Name
		if !p.Personal {
			v.plain.add(p.Name, camel)
		}
		switch p.Type {
		case TypeDictionary:
			v.dictionaries.add(p.Name, camel)
		case TypeDateTime:
			v.dateTimes.add(p.Name, camel)
		}
	}
	for _, name := range d.ConflationKey {
		if name != "EntityId" && name != "OrganizationId" {
			v.keys = append(v.keys, keyName{name, CamelCase(name)})
		}
	}
	return v
}

// Limit returns a catalog of the same types that refuses messages of more than the given number of bytes.
func (c *Catalog) Limit(bytes int) *Catalog {
	limited := *c
	limited.limit = bytes
	return &limited
}

// MaxBytes returns the maximum size of a message, see Limit.
func (c *Catalog) MaxBytes() int { return c.limit }

// Lookup finds an event type by its name in any case, without allocating.
func (c *Catalog) Lookup(name string) (Type, bool) { return lookup(c, name) }

func lookup[T string | []byte](c *Catalog, name T) (Type, bool) {
	if t, ok := c.byName[string(name)]; ok {
		return t, true
	}
	if len(name) > maxShort {
		return 0, false
	}
	var lower [maxShort]byte
	t, ok := c.byLower[string(lowerASCII(lower[:0], name))]
	return t, ok
}

// Definition returns the definition of a type of this catalog, nil for the zero Type. Do not change it.
func (c *Catalog) Definition(t Type) *Definition {
	if t == 0 || int(t) > len(c.definitions) {
		return nil
	}
	return &c.definitions[t-1]
}

// Names returns the names of all types, in the order of the catalog.
func (c *Catalog) Names() []string {
	names := make([]string, len(c.definitions))
	for i := range c.definitions {
		names[i] = c.definitions[i].Name
	}
	return names
}

// Envelope returns the properties that all events have. Do not change them.
func (c *Catalog) Envelope() []Property { return c.envelope }

// Enums returns the enumerations that properties refer to. Do not change them.
func (c *Catalog) Enums() []*Enum { return c.enums }

// lowerASCII appends s in lower case to dst. Names of events are ASCII.
func lowerASCII[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		c := s[i]
		if isUpper(c) {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
