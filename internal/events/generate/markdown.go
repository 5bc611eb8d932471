package main

import (
	"bytes"
	_ "embed" // for text that does not depend on the catalog
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

//go:embed events_head.md
var eventsHead string

//go:embed events_tail.md
var eventsTail string

// markdown makes docs/events.md.
func markdown(c *events.Catalog) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Events\n\n<!-- %s -->\n\n%s\n", generated, eventsHead)
	out.WriteString("| event | entity | lifetime | state of |\n|---|---|---|---|\n")
	for d := range definitions(c) {
		fmt.Fprintf(&out, "| [%s](#%s) | %s | %s | %s |\n", d.Name, strings.ToLower(d.Name), d.Kind, lifetime(d), stateOf(d))
	}

	out.WriteString("\n## All events\n\n")
	writeTable(&out, c.Envelope())
	for d := range definitions(c) {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n", d.Name, d.Description)
		fmt.Fprintf(&out, "Entity: %s. Lifetime: %s.", d.Kind, lifetime(d))
		if d.State() {
			fmt.Fprintf(&out, " State of: %s.", stateOf(d))
		}
		out.WriteString("\n\n")
		writeTable(&out, d.Properties)
	}

	out.WriteString("\n## Values\n")
	for _, e := range c.Enums() {
		fmt.Fprintf(&out, "\n### %s\n\n%s%s\n", e.Name, e.Description, openness(e))
		if len(e.Values) == 0 {
			continue
		}
		out.WriteString("\n| value | meaning |\n|---|---|\n")
		for _, v := range e.Values {
			value := "`" + v.Name + "`"
			if e.Type != events.TypeString {
				value = fmt.Sprintf("%d `%s`", v.Number, v.Name)
			}
			fmt.Fprintf(&out, "| %s | %s |\n", value, v.Description)
		}
	}
	out.WriteString("\n" + eventsTail)
	return out.Bytes()
}

func openness(e *events.Enum) string {
	switch {
	case e.Closed:
		return ""
	case len(e.Values) == 0:
		return " The values are a number or a name; they are not published."
	default:
		return " Other values may occur."
	}
}

func writeTable(out *bytes.Buffer, properties []events.Property) {
	out.WriteString("| property | type | where | |\n|---|---|---|---|\n")
	for _, p := range properties {
		description := p.Description
		if p.Enum != nil {
			description += fmt.Sprintf(" See [%s](#%s).", p.Enum.Name, strings.ToLower(p.Enum.Name))
		}
		if p.Personal {
			description += " *Personal.*"
		}
		where := [...]string{events.InBoth: "both", events.InSample: "sample", events.InTable: "table"}[p.Place]
		fmt.Fprintf(out, "| %s | `%s` | %s | %s |\n", p.Name, p.Published, where, description)
	}
}

func lifetime(d *events.Definition) string {
	if d.TTLSeconds < 0 {
		return "no end"
	}
	return fmt.Sprintf("%d s", d.TTLSeconds)
}

func stateOf(d *events.Definition) string { return strings.Join(d.ConflationKey, ", ") }
