package events

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/rte-server/rte-server/internal/jsonscan"
	"github.com/rte-server/rte-server/internal/msgpack"
)

// PackStyle is the form of events in MessagePack: PascalKeys, or a sum of the other styles.
type PackStyle uint8

const (
	// CamelKeys writes property names as for JSON clients.
	CamelKeys PackStyle = 1 << iota
	// TextTimes writes every DateTime as a string, as for JSON clients. Microsoft's Java client drops a message that
	// contains an extension type.
	TextTimes

	// PascalKeys is the form of ASP.NET Core's default resolver: timestamps, and names as in C#. Names of the catalog are
	// spelled so even if the event was published in camel case; other names stay as published.
	PascalKeys PackStyle = 0
)

// AppendMessagePack appends the event's data to dst as MessagePack: integers in their shortest form, other numbers as
// float64, strings as strings. Properties of the catalog's type DateTime become timestamps (extension type -1, spec row
// 1.10), unless the style has TextTimes. A DateTime without a zone counts as UTC; an unreadable one stays a string.
//
// It checks the whole document, as AppendJSON does. The error is a Reason; dst is then returned unchanged. It grows dst
// at most once for events that consist mostly of strings and small numbers.
func (c *Catalog) AppendMessagePack(dst []byte, ev *Event, style PackStyle) ([]byte, error) {
	w := packWriter{
		src: ev.Data, dst: grow(dst, len(ev.Data)), definition: c.Definition(ev.Type),
		camel: style&CamelKeys != 0, textTimes: style&TextTimes != 0,
	}
	if why := w.document(); why != reasonNone {
		return dst, why
	}
	return w.dst, nil
}

// packWriter writes a JSON document as MessagePack. Its methods for strings and lengths append to dst in place. To
// assign the result of a function instead costs a write barrier, a sixth of the time while garbage is collected.
type packWriter struct {
	src        []byte
	dst        []byte
	definition *Definition // nil: the event type is not known

	camel, textTimes bool
}

func (w *packWriter) document() Reason {
	if !utf8.Valid(w.src) {
		return ReasonInvalidUTF8
	}
	start := jsonscan.SkipSpace(w.src, 0)
	if start == len(w.src) || w.src[start] != '{' {
		return notObject(w.src[start:])
	}
	end, why := w.object(start, 1, w.camel)
	if why != reasonNone {
		return why
	}
	return endOf(w.src, end)
}

// object writes the object that begins at i. With rename it changes its property names, and those of nested objects, to
// camel case.
func (w *packWriter) object(i, depth int, rename bool) (next int, why Reason) {
	if depth > maxDepth {
		return -1, ReasonTooDeep
	}
	src, at, count := w.src, len(w.dst), 0
	w.dst = append(w.dst, msgpack.FixMap)
	if i = jsonscan.SkipSpace(src, i+1); i < len(src) && src[i] == '}' {
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
		known := w.name(src[i+1:end-1], escaped, depth, rename)
		if i = jsonscan.SkipSpace(src, end); i >= len(src) || src[i] != ':' {
			return -1, ReasonNotJSON
		}
		i = jsonscan.SkipSpace(src, i+1)
		switch isString := i < len(src) && src[i] == '"'; {
		case isString && known == TypeDateTime && !w.textTimes:
			i, why = w.dateTime(i)
		case isString && known == typeEventType:
			i, why = w.eventType(i)
		default:
			i, why = w.value(i, depth, rename && known != TypeDictionary)
		}
		if why != reasonNone {
			return -1, why
		}
		count++
		if i = jsonscan.SkipSpace(src, i); i >= len(src) {
			return -1, ReasonNotJSON
		}
		switch src[i] {
		case '}':
			w.length(at, count, msgpack.FixMap, msgpack.MaxFixMap, msgpack.Map16)
			return i + 1, reasonNone
		case ',':
			i = jsonscan.SkipSpace(src, i+1)
		default:
			return -1, ReasonNotJSON
		}
	}
}

// eventType writes the string at i, the EventType, in the spelling of the catalog.
func (w *packWriter) eventType(i int) (next int, why Reason) {
	end, _ := jsonscan.StringEnd(w.src, i)
	if end < 0 {
		return -1, ReasonNotJSON
	}
	if !w.definition.isNamed(w.src[i:end]) {
		return w.value(i, 1, false)
	}
	w.textLength(len(w.definition.Name))
	w.dst = append(w.dst, w.definition.Name...)
	return end, reasonNone
}

// name writes the name of a property and returns its type in the catalog, as derived.typeOf.
func (w *packWriter) name(name []byte, escaped bool, depth int, rename bool) ValueType {
	if escaped {
		var scratch [maxShort]byte
		name = jsonscan.AppendUnescaped(scratch[:0], name)
	}
	written := name
	if rename {
		var camel [maxShort]byte
		if run, ok := camelRun(name); !ok {
			written = appendCamel(camel[:0], name)
		} else if run > 0 {
			written = append(camel[:0], name...)
			for i := range written[:run] {
				written[i] |= 0x20
			}
		}
	}
	if depth > 1 || w.definition == nil {
		w.text(written)
		return TypeObject
	}
	if !w.camel && len(name) > 0 && name[0] >= 'a' {
		if pascal, ok := w.definition.pascal[string(name)]; ok {
			w.textLength(len(pascal))
			w.dst = append(w.dst, pascal...)
			return w.definition.typeOf(name)
		}
	}
	w.text(written)
	return w.definition.typeOf(name)
}

// array writes the array that begins at i.
func (w *packWriter) array(i, depth int, rename bool) (next int, why Reason) {
	if depth > maxDepth {
		return -1, ReasonTooDeep
	}
	src, at, count := w.src, len(w.dst), 0
	w.dst = append(w.dst, msgpack.FixArray)
	if i = jsonscan.SkipSpace(src, i+1); i < len(src) && src[i] == ']' {
		return i + 1, reasonNone
	}
	for {
		if i, why = w.value(i, depth, rename); why != reasonNone {
			return -1, why
		}
		count++
		if i = jsonscan.SkipSpace(src, i); i >= len(src) {
			return -1, ReasonNotJSON
		}
		switch src[i] {
		case ']':
			w.length(at, count, msgpack.FixArray, msgpack.MaxFixArray, msgpack.Array16)
			return i + 1, reasonNone
		case ',':
			i = jsonscan.SkipSpace(src, i+1)
		default:
			return -1, ReasonNotJSON
		}
	}
}

// length writes the number of elements over the byte at dst[at], in front of the elements, which are already written.
// Most objects and lists are short, so the elements seldom have to move.
func (w *packWriter) length(at, count int, fix byte, maxFix int, form16 byte) {
	switch {
	case count <= maxFix:
		w.dst[at] = fix | byte(count)
	case count <= math.MaxUint16:
		w.dst = slices.Insert(w.dst, at+1, byte(count>>8), byte(count))
		w.dst[at] = form16
	default:
		w.dst = slices.Insert(w.dst, at+1, byte(count>>24), byte(count>>16), byte(count>>8), byte(count))
		w.dst[at] = form16 + 1
	}
}

// value writes the value that begins at i, which is in an object or array of the given depth.
func (w *packWriter) value(i, depth int, rename bool) (next int, why Reason) {
	if i >= len(w.src) {
		return -1, ReasonNotJSON
	}
	switch w.src[i] {
	case '{':
		return w.object(i, depth+1, rename)
	case '[':
		return w.array(i, depth+1, rename)
	case '"':
		end, escaped := jsonscan.StringEnd(w.src, i)
		if end < 0 {
			return -1, ReasonNotJSON
		}
		if inside := w.src[i+1 : end-1]; escaped {
			w.escapedText(inside)
		} else {
			w.text(inside)
		}
		return end, reasonNone
	default:
		end := jsonscan.ScalarEnd(w.src, i)
		if end < 0 {
			return -1, ReasonNotJSON
		}
		w.scalar(w.src[i:end])
		return end, reasonNone
	}
}

// text writes a string.
func (w *packWriter) text(s []byte) {
	w.textLength(len(s))
	w.dst = append(w.dst, s...)
}

// escapedText writes the inside of a JSON string that has escapes.
func (w *packWriter) escapedText(inside []byte) {
	var scratch [256]byte
	w.text(jsonscan.AppendUnescaped(scratch[:0], inside))
}

func (w *packWriter) textLength(n int) {
	switch {
	case n <= msgpack.MaxFixStr:
		w.dst = append(w.dst, msgpack.FixStr|byte(n))
	case n <= math.MaxUint8:
		w.dst = append(w.dst, msgpack.Str8, byte(n))
	case n <= math.MaxUint16:
		w.dst = append(w.dst, msgpack.Str8+1, byte(n>>8), byte(n))
	default:
		w.dst = append(w.dst, msgpack.Str8+2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// scalar writes null, true, false or a number that jsonscan.ScalarEnd accepted.
func (w *packWriter) scalar(literal []byte) {
	switch literal[0] {
	case 'n':
		w.dst = append(w.dst, msgpack.Nil)
	case 't':
		w.dst = append(w.dst, msgpack.True)
	case 'f':
		w.dst = append(w.dst, msgpack.False)
	default:
		if !w.integer(literal) {
			w.float(literal)
		}
	}
}

// integer writes an integer of 64 bits, signed or unsigned. It reports whether literal is one.
func (w *packWriter) integer(literal []byte) bool {
	digits, negative := literal, literal[0] == '-'
	if negative {
		digits = digits[1:]
	}
	var n uint64
	for _, c := range digits {
		digit := uint64(c - '0')
		if digit > 9 || n > (math.MaxUint64-digit)/10 {
			return false
		}
		n = n*10 + digit
	}
	switch {
	case !negative:
		w.dst = msgpack.AppendUint(w.dst, n)
	case n == 0 || n > 1<<63: // an integer has no negative zero
		return false
	default:
		w.dst = msgpack.AppendInt(w.dst, int64(-n))
	}
	return true
}

// float writes a number as float64. A number beyond its range becomes infinity, as in JSON.parse.
func (w *packWriter) float(literal []byte) {
	// ParseFloat keeps no reference: its errors have a copy.
	//nolint:gosec // the literal is not empty, and does not change during the call
	text := unsafe.String(unsafe.SliceData(literal), len(literal))
	f, _ := strconv.ParseFloat(text, 64) // the only possible error is that the number is out of range
	w.dst = msgpack.AppendFloat64(w.dst, f)
}

// dateTime writes the string at i as a timestamp, or as a string if it is not a date and time.
func (w *packWriter) dateTime(i int) (next int, why Reason) {
	end, _ := jsonscan.StringEnd(w.src, i)
	if end < 0 {
		return -1, ReasonNotJSON
	}
	var scratch [maxShort]byte
	t, ok := parseDateTime(shortText(scratch[:0], w.src[i:end]))
	if !ok {
		return w.value(i, 0, false)
	}
	w.dst = msgpack.AppendTimestamp(w.dst, t)
	return end, reasonNone
}
