package events

import "strings"

// Type is the number of an event type in a Catalog. The zero value is no type.
// Numbers are not stable between catalogues and never leave the process.
type Type uint16

// DefaultLimit is how many bytes a published message may have.
const DefaultLimit = 64 << 10

// Catalog is the set of event types that a server knows. It does not change once it is built.
type Catalog struct {
	definitions []Definition    // by Type - 1
	byName      map[string]Type // by name as published
	byLower     map[string]Type // by lower-case name
	limit       int             // bytes of a message
}

// Builtin is the catalogue of the 31 published events.
func Builtin() *Catalog { return newCatalog(builtin) }

// newCatalog derives what the hot path reads from the definitions, which it copies.
func newCatalog(definitions []Definition) *Catalog {
	c := &Catalog{byName: map[string]Type{}, byLower: map[string]Type{}, limit: DefaultLimit}
	for _, d := range definitions {
		d.number = Type(len(c.definitions) + 1) //nolint:gosec // a catalogue is far smaller than the type's range
		d.lower = strings.ToLower(d.Name)
		for _, p := range d.Properties {
			if p.Type == TypeDictionary {
				d.dictionaries = append(d.dictionaries, p.Name, CamelCase(p.Name))
			}
		}
		c.definitions = append(c.definitions, d)
		c.byName[d.Name] = d.number
		c.byLower[d.lower] = d.number
	}
	return c
}

// Limit is a catalogue of the same types that refuses messages of more than the given number of bytes.
func (c *Catalog) Limit(bytes int) *Catalog {
	limited := *c
	limited.limit = bytes
	return &limited
}

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

// lowerASCII adds s in lower case to dst. Names of events are ASCII.
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
