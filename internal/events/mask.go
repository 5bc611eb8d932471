package events

import (
	"slices"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// masked takes the place of a personal value.
const masked = `"***"`

// AppendMasked appends the data of an event of type t to dst as JSON, without personal values. It replaces the values
// of personal properties, of properties that are not in the catalog, and objects and lists in the place of another
// type. Nulls and empty strings stay. The error means that data is not a JSON object; dst is then returned unchanged.
func (c *Catalog) AppendMasked(dst []byte, t Type, data []byte) ([]byte, error) {
	of := &c.unknown
	definition := c.Definition(t)
	if definition != nil {
		of = &definition.derived
	}
	out := append(dst, '{')
	first := len(out)
	err := jsonscan.Members(data, maxDepth, func(name, value []byte) error {
		if len(out) > first {
			out = append(out, ',')
		}
		plain := of.plain.has(name)
		out = append(out, '"')
		out = appendEscaped(out, name)
		out = append(out, '"', ':')
		switch nested := value[0] == '{' || value[0] == '['; {
		case string(value) == "null", string(value) == `""`, plain && !nested, plain && definition.mayNest(name):
			out = append(out, value...)
		default:
			out = append(out, masked...)
		}
		return nil
	})
	if err != nil {
		return dst, err
	}
	return append(out, '}'), nil
}

// mayNest reports whether a property, named in Pascal or camel case, is an object, a dictionary or a list.
func (d *Definition) mayNest(name []byte) bool {
	return d != nil && slices.ContainsFunc(d.Properties, func(p Property) bool {
		return (p.Type == TypeDictionary || p.Type == TypeList || p.Type == TypeObject) &&
			(p.Name == string(name) || CamelCase(p.Name) == string(name))
	})
}

// Personal returns the names of the personal properties of the types, or of all types if there are none, in order.
func (c *Catalog) Personal(types ...Type) []string {
	names := []string{}
	for i := range c.definitions {
		if len(types) > 0 && !slices.Contains(types, Type(i+1)) {
			continue
		}
		for _, p := range c.definitions[i].Properties {
			if p.Personal {
				names = append(names, p.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
