package events

import (
	"unicode/utf8"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// AppendJSON appends the event's data to dst in the form for JSON clients. Property names become camel case (see
// CamelCase), EventType gets the spelling of the catalog, by which typed clients discriminate, and white space between
// tokens is removed. Dictionary keys, nulls, unknown properties, numbers and other strings stay as published.
//
// It checks the whole document. The error is a Reason; dst is then returned unchanged. It grows dst at most once,
// unless names have escapes or letters beyond ASCII.
func (c *Catalog) AppendJSON(dst []byte, ev *Event) ([]byte, error) {
	w := jsonWriter{src: ev.Data, dst: grow(dst, len(ev.Data)), definition: c.Definition(ev.Type)}
	if why := w.document(); why != reasonNone {
		return dst, why
	}
	return w.dst, nil
}

// grow returns dst with room for n more bytes.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// jsonWriter copies a JSON document and renames properties while it copies.
type jsonWriter struct {
	src        []byte
	dst        []byte
	from       int         // start of the part of src that was read and is not copied yet
	definition *Definition // nil: the event type is not known
}

func (w *jsonWriter) document() Reason {
	if !utf8.Valid(w.src) {
		return ReasonInvalidUTF8
	}
	start := jsonscan.SkipSpace(w.src, 0)
	if start == len(w.src) || w.src[start] != '{' {
		return notObject(w.src[start:])
	}
	w.from = start
	end, why := w.object(start, 1, true)
	if why != reasonNone {
		return why
	}
	w.copyTo(end)
	return endOf(w.src, end)
}

// copyTo copies the part of src that was read and not copied, up to i.
func (w *jsonWriter) copyTo(i int) {
	w.dst = append(w.dst, w.src[w.from:i]...)
	w.from = i
}

// space skips white space from i on and leaves it out of the copy.
func (w *jsonWriter) space(i int) int {
	if i >= len(w.src) || w.src[i] > ' ' {
		return i
	}
	end := jsonscan.SkipSpace(w.src, i)
	w.copyTo(i)
	w.from = end
	return end
}

// object copies the object that begins at i. With rename it renames its properties and those of nested objects.
func (w *jsonWriter) object(i, depth int, rename bool) (next int, why Reason) {
	if depth > maxDepth {
		return -1, ReasonTooDeep
	}
	src := w.src
	if i = w.space(i + 1); i < len(src) && src[i] == '}' {
		return i + 1, reasonNone
	}
	for {
		if i >= len(src) || src[i] != '"' {
			return -1, ReasonNotJSON
		}
		end, escaped := jsonscan.StringEnd(src, i)
		if end < 0 {
			return -1, ReasonNotJSON
		}
		var known ValueType
		if rename {
			known = w.name(i+1, end-1, escaped, depth)
		}
		if i = w.space(end); i >= len(src) || src[i] != ':' {
			return -1, ReasonNotJSON
		}
		if i = w.space(i + 1); known == typeEventType && i < len(src) && src[i] == '"' {
			i, why = w.eventType(i)
		} else {
			i, why = w.value(i, depth, rename && known != TypeDictionary)
		}
		if why != reasonNone {
			return -1, why
		}
		if i = w.space(i); i >= len(src) {
			return -1, ReasonNotJSON
		}
		switch src[i] {
		case '}':
			return i + 1, reasonNone
		case ',':
			i = w.space(i + 1)
		default:
			return -1, ReasonNotJSON
		}
	}
}

// eventType copies the string at i, the EventType, in the spelling of the catalog.
func (w *jsonWriter) eventType(i int) (next int, why Reason) {
	end, _ := jsonscan.StringEnd(w.src, i)
	if end < 0 {
		return -1, ReasonNotJSON
	}
	if name := w.definition.Name; string(w.src[i+1:end-1]) != name && w.definition.isNamed(w.src[i:end]) {
		w.copyTo(i + 1)
		w.dst = append(w.dst, name...)
		w.from = end - 1
	}
	return end, reasonNone
}

// name writes the property name src[start:end] in camel case and returns its type in the catalog, as derived.typeOf.
func (w *jsonWriter) name(start, end int, escaped bool, depth int) ValueType {
	name := w.src[start:end]
	run, ok := 0, false
	if !escaped {
		run, ok = camelRun(name)
	}
	switch {
	case ok && run == 0:
	case ok:
		w.copyTo(start)
		for _, c := range name[:run] {
			w.dst = append(w.dst, c|0x20)
		}
		w.from = start + run
	default:
		var scratch [maxShort]byte
		name = jsonscan.AppendUnescaped(scratch[:0], name)
		if r, _ := utf8.DecodeRune(name); isUpperUnit(r) {
			w.copyTo(start)
			var camel [maxShort]byte
			w.dst = appendEscaped(w.dst, appendCamel(camel[:0], name))
			w.from = end
		}
	}
	if depth > 1 || w.definition == nil {
		return TypeObject
	}
	switch { // not typeOf: times stay as they are
	case w.definition.dictionaries.has(name):
		return TypeDictionary
	case isEventType(name):
		return typeEventType
	default:
		return TypeObject
	}
}

// array copies the array that begins at i.
func (w *jsonWriter) array(i, depth int, rename bool) (next int, why Reason) {
	if depth > maxDepth {
		return -1, ReasonTooDeep
	}
	src := w.src
	if i = w.space(i + 1); i < len(src) && src[i] == ']' {
		return i + 1, reasonNone
	}
	for {
		if i, why = w.value(i, depth, rename); why != reasonNone {
			return -1, why
		}
		if i = w.space(i); i >= len(src) {
			return -1, ReasonNotJSON
		}
		switch src[i] {
		case ']':
			return i + 1, reasonNone
		case ',':
			i = w.space(i + 1)
		default:
			return -1, ReasonNotJSON
		}
	}
}

// value copies the value that begins at i, which is in an object or array of the given depth.
func (w *jsonWriter) value(i, depth int, rename bool) (next int, why Reason) {
	if i >= len(w.src) {
		return -1, ReasonNotJSON
	}
	switch w.src[i] {
	case '{':
		return w.object(i, depth+1, rename)
	case '[':
		return w.array(i, depth+1, rename)
	case '"':
		next, _ = jsonscan.StringEnd(w.src, i)
	default:
		next = jsonscan.ScalarEnd(w.src, i)
	}
	if next < 0 {
		return -1, ReasonNotJSON
	}
	return next, reasonNone
}

// appendEscaped appends text to dst as the inside of a JSON string.
func appendEscaped(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0x0f])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
