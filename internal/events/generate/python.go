package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// pythonFile is the generated part of the Python package.
const pythonFile = "clients/python/src/rte_server_client/events.py"

// python makes the types of the events for the Python package. Events are dictionaries, as JSON has them.
func python(c *events.Catalog) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `# %s
# ruff: noqa: E501
"""
The events as dictionaries, as JSON has them.

A Guid has 36 characters. Compare it without regard to case: subscriptions have it in lower case. A DateTime is
ISO 8601; without a zone it is UTC.
"""

from collections.abc import Callable
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, overload

Guid: TypeAlias = str
DateTime: TypeAlias = str
`, generated)
	for _, e := range c.Enums() {
		writePythonEnum(&out, e)
	}
	out.WriteString(`

class Envelope(TypedDict):
    """The properties of all events, beside eventType and entityType."""

`)
	envelope := map[string]bool{}
	for _, p := range c.Envelope() {
		if p.Name != "EventType" && p.Name != "EntityType" {
			writePythonProperty(&out, &p)
		}
		envelope[p.Name] = true
	}
	elements := map[string]bool{}
	var names []string
	for d := range definitions(c) {
		names = append(names, d.Name)
		for _, p := range d.Properties {
			if p.Type == events.TypeList && !elements[p.Element] {
				elements[p.Element] = true
				fmt.Fprintf(&out, `
%s: TypeAlias = dict[str, Any]
"""An element of %s. Its properties are not published."""
`, p.Element, p.Name)
			}
		}
		fmt.Fprintf(&out, "\n\nclass %s(Envelope):\n    \"\"\"%s\"\"\"\n\n", d.Name, d.Description)
		fmt.Fprintf(&out, "    eventType: Literal[%q]\n    entityType: Literal[%q]\n", d.Name, d.Kind)
		for _, p := range d.Properties {
			if !envelope[p.Name] {
				writePythonProperty(&out, &p)
			}
		}
	}
	fmt.Fprintf(&out, "\n\nRteEvent: TypeAlias = (\n    %s\n)\n\"\"\"Any event. Discriminate by eventType.\"\"\"\n",
		strings.Join(names, "\n    | "))
	writePythonStates(&out, c)
	out.WriteString("\n\nclass TypedHandlers:\n    \"\"\"The types of handlers, by the names of events.\"\"\"\n")
	for _, name := range names {
		fmt.Fprintf(&out, `
    @overload
    def on(self, name: Literal[%q], handler: Callable[[%[1]s], object]) -> Callable[[], None]: ...
`, name)
	}
	out.WriteString(`
    def on(self, name: str, handler: Callable[[Any], object]) -> Callable[[], None]:
        """
        Calls a function with each event of a type, of all subscriptions. It must not be a coroutine: events come one
        after another. Returns a function that ends this.
        """
        return self._on(name, handler)

    def _on(self, name: str, handler: Callable[[Any], object]) -> Callable[[], None]:
        raise NotImplementedError
`)
	return out.Bytes()
}

func writePythonEnum(out *bytes.Buffer, e *events.Enum) {
	union := pythonScalar(e.Type)
	if len(e.Values) > 0 {
		var values []string
		for _, v := range e.Values {
			values = append(values, literal(e, v))
		}
		known := "Literal[" + strings.Join(values, ", ") + "]"
		if union = known + " | " + union; e.Closed {
			union = known
		}
	}
	fmt.Fprintf(out, "\n%s: TypeAlias = %s\n\"\"\"\n%s\n", e.Name, union, e.Description)
	for i, v := range e.Values {
		if i == 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(out, "- %s: %s\n", valueName(e, v), v.Description)
	}
	out.WriteString("\"\"\"\n")
}

func writePythonProperty(out *bytes.Buffer, p *events.Property) {
	name := "list[" + p.Element + "]"
	if p.Enum != nil {
		name = p.Enum.Name
	} else if p.Type != events.TypeList {
		name = pythonScalar(p.Type)
	}
	if p.AllowsNull() {
		name += " | None"
	}
	if !p.Required() {
		name = "NotRequired[" + name + "]"
	}
	fmt.Fprintf(out, "    %s: %s\n    \"\"\"%s\"\"\"\n", events.CamelCase(p.Name), name, p.Description)
}

func pythonScalar(t events.ValueType) string {
	switch t {
	case events.TypeBool:
		return "bool"
	case events.TypeShort, events.TypeInt, events.TypeLong:
		return "int"
	case events.TypeDouble, events.TypeDecimal:
		return "float"
	case events.TypeGUID:
		return "Guid"
	case events.TypeDateTime:
		return "DateTime"
	case events.TypeDictionary:
		return "dict[str, str | None]"
	case events.TypeObject:
		return "dict[str, Any]"
	case events.TypeEnum:
		return "int | str"
	default:
		return "str"
	}
}

func writePythonStates(out *bytes.Buffer, c *events.Catalog) {
	out.WriteString("\nSTATE_KEYS: dict[str, tuple[str, ...]] = {\n")
	for d := range definitions(c) {
		if !d.State() {
			continue
		}
		fmt.Fprintf(out, "    %q: (", d.Name)
		for _, name := range stateKeys(d) {
			fmt.Fprintf(out, "%q,", name)
		}
		out.WriteString("),\n")
	}
	out.WriteString(`}
"""
The events that describe a state, each with the properties that distinguish the states of one entity. A newer event
replaces an older one of the same state, and the server sends the last one as a snapshot.
"""
`)
}
