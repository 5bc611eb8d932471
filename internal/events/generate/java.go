package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/rte-server/rte-server/internal/events"
)

// javaFile is the generated part of the Java package.
const javaFile = "clients/java/src/main/java/com/github/rteserver/client/RteEvents.java"

// java makes the classes of the events for the Java package.
func java(c *events.Catalog) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `// %s
package com.github.rteserver.client;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/**
 * The events, and the known values of their enumerations. Ids are texts of 36 characters; compare them without regard
 * to case. Times are texts as published: {@link RteTime#parse} reads them.
 */
public final class RteEvents {
    private RteEvents() {
    }
`, generated)
	for _, e := range c.Enums() {
		writeJavaEnum(&out, e)
	}
	out.WriteString(`
    /** What every event has. */
    public static class RteEvent {
        /** All properties as JSON, also those that this version of the package does not know. */
        public transient JsonObject json;
`)
	envelope := map[string]bool{}
	for _, p := range c.Envelope() {
		writeJavaProperty(&out, &p)
		envelope[p.Name] = true
	}
	out.WriteString("    }\n")
	var types, states []string
	for d := range definitions(c) {
		fmt.Fprintf(&out, "\n    /** %s */\n    public static final class %s extends RteEvent {", d.Description, d.Name)
		for _, p := range d.Properties {
			if !envelope[p.Name] {
				writeJavaProperty(&out, &p)
			}
		}
		out.WriteString("    }\n")
		types = append(types, fmt.Sprintf("Map.entry(%q, %s.class)", strings.ToLower(d.Name), d.Name))
		if d.State() {
			keys := ""
			if names := stateKeys(d); len(names) > 0 {
				keys = `"` + strings.Join(names, `", "`) + `"`
			}
			states = append(states, fmt.Sprintf("Map.entry(%q, List.of(%s))", strings.ToLower(d.Name), keys))
		}
	}
	const separator = ",\n        "
	fmt.Fprintf(&out, `
    /** The classes by the names of events in lower case. */
    static final Map<String, Class<? extends RteEvent>> TYPES = Map.ofEntries(
        %s);

    /** The events that describe a state, each with the properties that distinguish the states of one entity. */
    static final Map<String, List<String>> STATE_KEYS = Map.ofEntries(
        %s);
}
`, strings.Join(types, separator), strings.Join(states, separator))
	return out.Bytes()
}

// writeJavaEnum writes the known values of an enumeration as constants: others may occur.
func writeJavaEnum(out *bytes.Buffer, e *events.Enum) {
	if len(e.Values) == 0 {
		return
	}
	fmt.Fprintf(out, "\n    /** %s Other values may occur. */\n    public static final class %s {", e.Description, e.Name)
	fmt.Fprintf(out, "\n        private %s() {\n        }\n", e.Name)
	for _, v := range e.Values {
		fmt.Fprintf(out, "\n        /** %s */\n        public static final %s %s = %s;\n",
			v.Description, javaScalar(e.Type), javaConstant(v.Name), literal(e, v))
	}
	out.WriteString("    }\n")
}

func writeJavaProperty(out *bytes.Buffer, p *events.Property) {
	name := javaScalar(p.Type)
	switch {
	case p.Type == events.TypeList:
		name = "List<JsonObject>"
	case p.AllowsNull() || !p.Required():
		if boxed, ok := map[string]string{
			"boolean": "Boolean", "int": "Integer", "long": "Long", "double": "Double",
		}[name]; ok {
			name = boxed
		}
	}
	fmt.Fprintf(out, "\n        /** %s */\n        public %s %s;\n", p.Description, name, events.CamelCase(p.Name))
}

func javaScalar(t events.ValueType) string {
	switch t {
	case events.TypeBool:
		return "boolean"
	case events.TypeShort, events.TypeInt:
		return "int"
	case events.TypeLong:
		return "long"
	case events.TypeDouble:
		return "double"
	case events.TypeDecimal:
		return "BigDecimal"
	case events.TypeDictionary:
		return "Map<String, String>"
	case events.TypeObject, events.TypeEnum:
		return "JsonElement"
	default:
		return "String"
	}
}

// javaConstant makes NoAvailableProviders NO_AVAILABLE_PROVIDERS.
func javaConstant(name string) string {
	var out strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		out.WriteRune(unicode.ToUpper(r))
	}
	return out.String()
}
