package hubprotocol

import (
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/msgpack"
)

// packObjects knows the properties of the structs that are written as MessagePack: []packProperty by reflect.Type. Its
// size is bounded by the number of result types in the program. Any goroutine may use it.
type packObjects struct{ byType sync.Map }

// packProperty is one property of a struct.
type packProperty struct {
	name      string // as .NET has it
	field     int
	omitEmpty bool
}

// appendResult adds the result of a hub method or the argument of a notice, see Completion.Result. Property names are
// those of the json tags, in the style of the codec. A value of another type becomes nil.
func (m *messagePackCodec) appendResult(dst []byte, result any) []byte {
	switch result := result.(type) {
	case nil:
		return append(dst, msgpack.Nil)
	case bool:
		return msgpack.AppendBool(dst, result)
	case List:
		dst = msgpack.AppendArrayLen(dst, result.Len())
		for i := range result.Len() {
			dst = m.appendResult(dst, result.At(i))
		}
		return dst
	default:
		return m.appendValue(dst, reflect.ValueOf(result))
	}
}

func (m *messagePackCodec) appendValue(dst []byte, v reflect.Value) []byte {
	switch v.Kind() { //nolint:exhaustive // results are of no other kind
	case reflect.Bool:
		return msgpack.AppendBool(dst, v.Bool())
	case reflect.String:
		return msgpack.AppendString(dst, v.String())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return msgpack.AppendInt(dst, v.Int())
	case reflect.Slice:
		dst = msgpack.AppendArrayLen(dst, v.Len())
		for i := range v.Len() {
			dst = m.appendValue(dst, v.Index(i))
		}
		return dst
	case reflect.Pointer:
		if v.IsNil() {
			return append(dst, msgpack.Nil)
		}
		if moment, ok := reflect.TypeAssert[*time.Time](v); ok {
			return m.appendTime(dst, *moment)
		}
		return m.appendValue(dst, v.Elem())
	case reflect.Struct:
		return m.appendObject(dst, v)
	default:
		return append(dst, msgpack.Nil)
	}
}

func (m *messagePackCodec) appendObject(dst []byte, v reflect.Value) []byte {
	properties, count := m.objects.of(v.Type()), 0
	for _, p := range properties {
		if !p.omitEmpty || !v.Field(p.field).IsZero() {
			count++
		}
	}
	dst = msgpack.AppendMapLen(dst, count)
	for _, p := range properties {
		if field := v.Field(p.field); !p.omitEmpty || !field.IsZero() {
			dst = m.appendValue(m.keys.append(dst, p.name), field)
		}
	}
	return dst
}

// of returns the properties of a struct type.
func (o *packObjects) of(t reflect.Type) []packProperty {
	if known, ok := o.byType.Load(t); ok {
		properties, _ := known.([]packProperty)
		return properties
	}
	var properties []packProperty
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" {
			name = strings.ToUpper(name[:1]) + name[1:]
			properties = append(properties, packProperty{name, i, options == "omitempty"})
		}
	}
	o.byType.Store(t, properties)
	return properties
}

// appendTime adds a point in time as events have them: a string, or the extension that .NET reads as a DateTime.
func (m *messagePackCodec) appendTime(dst []byte, t time.Time) []byte {
	if m.keys.style&events.TextTimes != 0 {
		return msgpack.AppendString(dst, t.Format(time.RFC3339Nano))
	}
	return msgpack.AppendTimestamp(dst, t)
}
