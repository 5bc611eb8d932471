package main

import (
	"slices"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// Patterns of strings. The pattern of DateTime allows times without a zone; the format date-time of JSON Schema does
// not.
const (
	guidPattern     = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
	dateTimePattern = `^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])` +
		`T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?$`
)

// casing returns the spelling of a property name for publishers or for JSON clients.
type casing func(string) string

func asPublished(name string) string { return name }

// schemaFile returns the JSON Schema of an event as published, as a complete document.
func schemaFile(c *events.Catalog, d *events.Definition) object {
	return append(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:rte-server:event:" + d.Name},
		{"$comment", generated},
	}, eventSchema(c, d, asPublished)...)
}

// eventSchema returns the schema of an event. It allows unknown properties.
func eventSchema(c *events.Catalog, d *events.Definition, spell casing) object {
	var required []any
	properties := object{}
	for _, p := range slices.Concat(c.Envelope(), d.Properties) {
		name := spell(p.Name)
		if p.Required() {
			required = append(required, name)
		}
		var schema object
		switch p.Name {
		case "EventType":
			schema = object{{"const", d.Name}}
		case "EntityType":
			schema = object{{"const", d.Kind.String()}}
		default:
			schema = propertySchema(&p)
		}
		properties = append(properties, member{name, append(schema, member{"description", described(&p)})})
	}
	return object{
		{"title", d.Name},
		{"description", d.Description},
		{"type", "object"},
		{"required", required},
		{"properties", properties},
	}
}

// propertySchema returns the schema of the values of a property.
func propertySchema(p *events.Property) object {
	if e := p.Enum; e != nil && e.Closed {
		values := []any{}
		for _, v := range e.Values {
			values = append(values, object{{"const", enumLiteral(e, v)}, {"title", v.Name}, {"description", v.Description}})
		}
		if p.AllowsNull() {
			values = append(values, object{{"const", nil}})
		}
		return object{{"oneOf", values}}
	}
	types, rest := jsonType(p.Type)
	if p.AllowsNull() && len(types) > 0 {
		types = append(types, "null")
	}
	var schema object
	switch len(types) {
	case 0: // rest has the types
	case 1:
		schema = object{{"type", types[0]}}
	default:
		schema = object{{"type", types}}
	}
	schema = append(schema, rest...)
	if p.Enum != nil && len(p.Enum.Values) > 0 {
		known := []any{}
		for _, v := range p.Enum.Values {
			known = append(known, enumLiteral(p.Enum, v))
		}
		schema = append(schema, member{"examples", known})
	}
	return schema
}

func enumLiteral(e *events.Enum, v events.EnumValue) any {
	if e.Type == events.TypeString {
		return v.Name
	}
	return v.Number
}

// jsonType returns the JSON types of a value and the other keywords of its schema. Without types, the keywords have
// them.
func jsonType(t events.ValueType) (types []any, rest object) {
	switch t {
	case events.TypeBool:
		return []any{"boolean"}, nil
	case events.TypeShort:
		return []any{"integer"}, object{{"minimum", -1 << 15}, {"maximum", 1<<15 - 1}}
	case events.TypeInt:
		return []any{"integer"}, object{{"format", "int32"}, {"minimum", -1 << 31}, {"maximum", 1<<31 - 1}}
	case events.TypeLong:
		return []any{"integer"}, object{{"format", "int64"}}
	case events.TypeDouble, events.TypeDecimal:
		return []any{"number"}, nil
	case events.TypeGUID:
		return []any{"string"}, object{{"pattern", guidPattern}}
	case events.TypeDateTime:
		return []any{"string"}, object{{"pattern", dateTimePattern}}
	case events.TypeEnum: // a list of types would become an object in the code of many generators
		return nil, object{{"oneOf", []any{object{{"type", "integer"}}, object{{"type", "string"}}}}}
	case events.TypeDictionary:
		return []any{"object"}, object{{"additionalProperties", object{{"type", []any{"string", "null"}}}}}
	case events.TypeList:
		return []any{"array"}, object{{"items", object{{"type", "object"}}}}
	case events.TypeObject:
		return []any{"object"}, nil
	default:
		return []any{"string"}, nil
	}
}

// described returns the description of a property with its known values.
func described(p *events.Property) string {
	switch p.Type {
	case events.TypeDateTime:
		return p.Description + " Without a zone it is UTC."
	case events.TypeEnum:
		return p.Description + " The number or the name of a value; the values are not published."
	}
	if p.Enum == nil || len(p.Enum.Values) == 0 || p.Enum.Closed {
		return p.Description
	}
	var known []string
	for _, v := range p.Enum.Values {
		known = append(known, valueName(p.Enum, v))
	}
	return p.Description + " Known values: " + strings.Join(known, ", ") + "."
}
