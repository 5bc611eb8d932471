package main

import (
	"bytes"
	_ "embed" // for text that does not depend on the catalog
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

//go:embed hub.d.ts
var hubTypes string

// typescript makes the typings for clients.
func typescript(c *events.Catalog) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "// %s\n\n%s", generated, hubTypes)

	for _, e := range c.Enums() {
		fmt.Fprintf(&out, "\n/** %s", e.Description)
		for _, v := range e.Values {
			fmt.Fprintf(&out, "\n * - %s: %s", valueName(e, v), v.Description)
		}
		if len(e.Values) > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, " */\nexport type %s = %s;\n", e.Name, enumUnion(e))
	}

	out.WriteString("\n/** The properties of all events. */\nexport interface Envelope {\n")
	for _, p := range c.Envelope() {
		writeProperty(&out, &p)
	}
	out.WriteString("}\n")

	var names []string
	elements := map[string]bool{}
	for d := range definitions(c) {
		names = append(names, d.Name)
		fmt.Fprintf(&out, "\n/** %s */\nexport interface %s extends Envelope {\n", d.Description, d.Name)
		fmt.Fprintf(&out, "  eventType: %q;\n  entityType: %q;\n", d.Name, d.Kind)
		for _, p := range d.Properties {
			writeProperty(&out, &p)
		}
		out.WriteString("}\n")
		for _, p := range d.Properties {
			if p.Type == events.TypeList && !elements[p.Element] {
				elements[p.Element] = true
				fmt.Fprintf(
					&out, "\n/** An element of %s. Its properties are not published. */\nexport type %s = Record<string, unknown>;\n",
					p.Name, p.Element,
				)
			}
		}
	}

	out.WriteString("\n/** The events by their names. Declare events of your own catalog here, too. */\n" +
		"export interface EventMap {\n")
	for _, name := range names {
		fmt.Fprintf(&out, "  %s: %s;\n", name, name)
	}
	out.WriteString("}\n\n/** Any event. Discriminate by `eventType`. */\n" +
		"export type RteEvent = EventMap[EventName];\n")
	return out.Bytes()
}

// typescriptModule makes the source of the package for TypeScript: the typings, and what it must know at run time.
func typescriptModule(c *events.Catalog) []byte {
	out := bytes.NewBuffer(typescript(c))
	out.WriteString(`
/**
 * The events that describe a state, each with the properties that distinguish the states of one entity. A newer event
 * replaces an older one of the same state, and the server sends the last one as a snapshot.
 */
export const stateKeys: Readonly<Record<string, readonly string[]>> = {
`)
	for d := range definitions(c) {
		if !d.State() {
			continue
		}
		var keys []string
		for _, name := range stateKeys(d) {
			keys = append(keys, fmt.Sprintf("%q", name))
		}
		fmt.Fprintf(out, "  %s: [%s],\n", d.Name, strings.Join(keys, ", "))
	}
	out.WriteString("};\n")
	return out.Bytes()
}

// stateKeys returns the properties that distinguish the states of one entity, as JSON has them.
func stateKeys(d *events.Definition) []string {
	var keys []string
	for _, name := range d.ConflationKey {
		if name != "EntityId" {
			keys = append(keys, events.CamelCase(name))
		}
	}
	return keys
}

// valueName returns a value with its name. For strings they are the same.
func valueName(e *events.Enum, v events.EnumValue) string {
	if e.Type == events.TypeString {
		return v.Name
	}
	return literal(e, v) + " " + v.Name
}

func writeProperty(out *bytes.Buffer, p *events.Property) {
	optional := ""
	if !p.Required() {
		optional = "?"
	}
	fmt.Fprintf(out, "  /** %s */\n  %s%s: %s;\n", p.Description, events.CamelCase(p.Name), optional, propertyUnion(p))
}

// propertyUnion returns the type of a property.
func propertyUnion(p *events.Property) string {
	name := p.Element + "[]"
	if p.Enum != nil {
		name = p.Enum.Name
	} else if p.Type != events.TypeList {
		name = typescriptType(p.Type)
	}
	if p.AllowsNull() {
		name += " | null"
	}
	return name
}

func typescriptType(t events.ValueType) string {
	switch t {
	case events.TypeBool:
		return "boolean"
	case events.TypeShort, events.TypeInt, events.TypeLong, events.TypeDouble, events.TypeDecimal:
		return "number"
	case events.TypeGUID:
		return "Guid"
	case events.TypeDateTime:
		return "DateTime"
	case events.TypeDictionary:
		return "Record<string, string | null>"
	case events.TypeObject:
		return "Record<string, unknown>"
	default:
		return "string"
	}
}

// enumUnion returns the union of the values. An enumeration that is not closed accepts other values, and editors still
// complete the known ones.
func enumUnion(e *events.Enum) string {
	var values []string
	for _, v := range e.Values {
		values = append(values, literal(e, v))
	}
	switch {
	case e.Type == events.TypeEnum:
		values = append(values, "number", "string")
	case e.Closed:
	case e.Type == events.TypeString:
		values = append(values, "(string & {})")
	default:
		values = append(values, "(number & {})")
	}
	return strings.Join(values, " | ")
}
