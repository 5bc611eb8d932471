package simulator

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// forever is the largest DateTime of .NET, which publishers use for an open end.
const forever = "9999-12-31T23:59:59.9999999"

// stampForm is the form of a DateTime in .NET: in UTC, with seven decimals.
const stampForm = "2006-01-02T15:04:05.0000000Z07:00"

// stamp writes a time as publishers do.
func stamp(t time.Time) string { return t.UTC().Format(stampForm) }

// encoder writes one event at a time. Its methods append a property each.
type encoder struct {
	prefixes [][]byte // by event type: the event up to its entity
	data     []byte
}

func newEncoder(organization events.ID) encoder {
	var e encoder
	catalog := events.Builtin()
	for _, name := range catalog.Names() {
		t, _ := catalog.Lookup(name)
		definition := catalog.Definition(t)
		for int(t) >= len(e.prefixes) {
			e.prefixes = append(e.prefixes, nil)
		}
		org := organization.String()
		e.prefixes[t] = []byte(`{"RootEntityType":"Organization","RootEntityId":"` + org + `","OrganizationId":"` + org +
			`","EventType":"` + definition.Name + `","EntityType":"` + definition.Kind.String() +
			`","MessageTTLSeconds":` + strconv.Itoa(definition.TTLSeconds) + `,"EntityId":"`)
	}
	return e
}

// begin begins an event about an entity.
func (s *Simulator) begin(t events.Type, entity string) *encoder {
	e := &s.encoder
	e.data = append(e.data[:0], e.prefixes[t]...)
	e.data = append(e.data, entity...)
	e.data = append(e.data, `","Id":"`...)
	e.data = s.newID().Append(e.data)
	e.data = append(e.data, `","Timestamp":"`...)
	e.data = append(e.data, s.stamp...)
	e.data = append(e.data, '"')
	return e
}

// end passes the event on.
func (s *Simulator) end(e *encoder) {
	e.data = append(e.data, '}')
	s.made++
	if s.emit != nil {
		s.emit(e.data)
	}
}

func (e *encoder) name(name string) {
	e.data = append(e.data, ',', '"')
	e.data = append(e.data, name...)
	e.data = append(e.data, '"', ':')
}

func (e *encoder) text(name, value string) *encoder {
	e.name(name)
	e.data = appendText(e.data, value)
	return e
}

// textOrNull writes null for an empty text.
func (e *encoder) textOrNull(name, value string) *encoder {
	if value == "" {
		return e.null(name)
	}
	return e.text(name, value)
}

func (e *encoder) number(name string, value int) *encoder {
	e.name(name)
	e.data = strconv.AppendInt(e.data, int64(value), 10)
	return e
}

func (e *encoder) flag(name string, value bool) *encoder {
	e.name(name)
	e.data = strconv.AppendBool(e.data, value)
	return e
}

func (e *encoder) null(name string) *encoder {
	e.name(name)
	e.data = append(e.data, "null"...)
	return e
}

// nulls writes several properties as null.
func (e *encoder) nulls(names ...string) *encoder {
	for _, name := range names {
		e.null(name)
	}
	return e
}

// texts writes a dictionary of names and values.
func (e *encoder) texts(name string, pairs ...[2]string) *encoder {
	e.name(name)
	e.data = append(e.data, '{')
	for i, pair := range pairs {
		if i > 0 {
			e.data = append(e.data, ',')
		}
		e.data = append(appendText(e.data, pair[0]), ':')
		e.data = appendText(e.data, pair[1])
	}
	e.data = append(e.data, '}')
	return e
}

// appendText appends a JSON string.
func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// newID returns a GUID (RFC 9562, version 4) from the seeded random source.
func (s *Simulator) newID() events.ID {
	var id events.ID
	binary.LittleEndian.PutUint64(id[:8], s.chance.Uint64())
	binary.LittleEndian.PutUint64(id[8:], s.chance.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// caller returns a random external phone number, from a range that is reserved for fiction.
func (s *Simulator) caller() string {
	return "+447700900" + strconv.Itoa(1000 + s.chance.IntN(1000))[1:]
}

// seconds returns a duration in whole seconds.
func seconds(d time.Duration) int { return int(math.Round(d.Seconds())) }

// wholeSeconds returns a duration in seconds that have passed.
func wholeSeconds(d time.Duration) int { return int(d / time.Second) }
