package main

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// constants returns the Go source with the types of events and the values of enumerations.
func constants(c *events.Catalog) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "// %s\n\npackage events\n\n", generated)
	out.WriteString("// The types of the builtin catalog, which have these numbers in every catalog.\nconst (\n")
	number := " Type = iota + 1"
	for d := range definitions(c) {
		fmt.Fprintf(&out, "\t%s%s\n", d.Name, number)
		number = ""
	}
	out.WriteString(")\n")
	for _, e := range c.Enums() {
		if len(e.Values) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n// %s: %s\nconst (\n", e.Name, lowerFirst(e.Description))
		for _, v := range e.Values {
			fmt.Fprintf(
				&out, "\t%s = %s // %s\n", e.Name+goName(v.Name), literal(e, v),
				lowerFirst(strings.TrimSuffix(v.Description, ".")),
			)
		}
		out.WriteString(")\n")
	}
	return format.Source(out.Bytes())
}

// literal returns a value as spelled in Go, JSON and TypeScript.
func literal(e *events.Enum, v events.EnumValue) string {
	if e.Type == events.TypeString {
		return fmt.Sprintf("%q", v.Name)
	}
	return fmt.Sprint(v.Number)
}

// goName converts busy_on_busy to BusyOnBusy.
func goName(name string) string {
	var out strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

// lowerFirst lowers the first letter, unless the text begins with an abbreviation.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
