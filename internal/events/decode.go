package events

import "time"

// Decode reads the routing fields of a published JSON object in one pass without allocating: OrganizationId
// (else RootEntityId, where RootEntityType is Organization), EntityId, EntityType, EventType,
// MessageTTLSeconds, Timestamp and Id, their names in Pascal or camel case. The event keeps data.
//
// What stands between these fields is passed over and checked only as far as its end must be found; the
// encoders check all of it, once, if somebody listens. The error, if any, is a Reason and wraps ErrMalformed.
func (c *Catalog) Decode(data []byte) (Event, error) {
	ev, why := c.decode(data)
	if why != reasonNone {
		return Event{}, why
	}
	return ev, nil
}

// field is a top-level property that routing reads.
type field uint8

const (
	fieldOther field = iota
	fieldID
	fieldEntityID
	fieldEventType
	fieldTimestamp
	fieldEntityType
	fieldRootEntityID
	fieldOrganizationID
	fieldRootEntityType
	fieldTTL

	fieldCount
)

// fieldOf knows the routing fields by their unescaped names.
func fieldOf(name []byte) field {
	switch string(name) {
	case "Id", "id":
		return fieldID
	case "EntityId", "entityId":
		return fieldEntityID
	case "EventType", "eventType":
		return fieldEventType
	case "Timestamp", "timestamp":
		return fieldTimestamp
	case "EntityType", "entityType":
		return fieldEntityType
	case "RootEntityId", "rootEntityId":
		return fieldRootEntityID
	case "OrganizationId", "organizationId":
		return fieldOrganizationID
	case "RootEntityType", "rootEntityType":
		return fieldRootEntityType
	case "MessageTTLSeconds", "messageTTLSeconds":
		return fieldTTL
	}
	return fieldOther
}

// maxShort bounds the names and values that routing compares, in bytes as they stand in the message. The
// longest name of an event fits, a routing field with all of its letters escaped does, and so does any
// timestamp.
const maxShort = 128

// routing are the values of the routing fields as they stand in the message, quotes included; nil if absent.
type routing [fieldCount][]byte

// decode is Decode with the reason in place of an error. For ReasonUnknownEvent the event is complete but for
// its type.
func (c *Catalog) decode(data []byte) (Event, Reason) {
	if len(data) > c.limit {
		return Event{}, ReasonTooLarge
	}
	var values routing
	if why := values.read(data); why != reasonNone {
		return Event{}, why
	}
	return c.route(data, &values)
}

// read fills in the routing fields from one pass over data.
func (values *routing) read(data []byte) Reason {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '{' {
		return notObject(data[i:])
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return endOf(data, i+1)
	}
	for {
		if i >= len(data) || data[i] != '"' {
			return ReasonNotJSON
		}
		name := i + 1
		end := plainEnd(data, name)
		var f field
		switch {
		case end == len(data):
			return ReasonNotJSON
		case data[end] == '"':
			f = fieldOf(data[name:end])
			end++
		default:
			if end, _ = checkString(data, i); end < 0 {
				return ReasonNotJSON
			}
			var scratch [maxShort]byte
			f = fieldOf(shortText(scratch[:0], data[i:end]))
		}
		if i = end; i < len(data) && data[i] != ':' {
			i = skipSpace(data, i)
		}
		if i >= len(data) || data[i] != ':' {
			return ReasonNotJSON
		}
		start := skipSpace(data, i+1)
		var why Reason
		if i, why = skipValue(data, start, 1); why != reasonNone {
			return why
		}
		if f != fieldOther {
			if values[f] != nil {
				return ReasonDuplicateField
			}
			values[f] = data[start:i]
		}
		if i < len(data) && data[i] != ',' {
			i = skipSpace(data, i)
		}
		switch {
		case i >= len(data):
			return ReasonNotJSON
		case data[i] == '}':
			return endOf(data, i+1)
		case data[i] != ',':
			return ReasonNotJSON
		}
		i = skipSpace(data, i+1)
	}
}

// notObject says what something is that does not begin as an object.
func notObject(data []byte) Reason {
	if len(data) == 0 {
		return ReasonNotJSON
	}
	switch c := data[0]; {
	case c == '[', c == '"', c == '-', c-'0' <= 9, c == 't', c == 'f', c == 'n':
		return ReasonNotObject
	}
	return ReasonNotJSON
}

// endOf accepts nothing but white space from i on.
func endOf(data []byte, i int) Reason {
	if skipSpace(data, i) != len(data) {
		return ReasonNotJSON
	}
	return reasonNone
}

// route makes the event of the values that were read.
func (c *Catalog) route(data []byte, values *routing) (Event, Reason) {
	var scratch [maxShort]byte
	ev := Event{Data: data}
	name := shortText(scratch[:0], values[fieldEventType])
	if name == nil {
		return Event{}, ReasonNoEvent
	}
	why := reasonNone
	ev.Type, _ = lookup(c, name)
	def := c.Definition(ev.Type)
	if def == nil {
		why = ReasonUnknownEvent
		ev.TTLSeconds = never
	} else {
		ev.TTLSeconds = def.TTLSeconds
	}
	kind := shortText(scratch[:0], values[fieldEntityType])
	if kind == nil || def != nil && string(kind) != def.Kind.String() {
		return Event{}, ReasonWrongEntityType
	}
	var ok bool
	if ev.Entity, ok = guid(values[fieldEntityID]); !ok {
		return Event{}, ReasonNoEntity
	}
	organization := values[fieldOrganizationID]
	if organization == nil || string(organization) == "null" {
		if string(shortText(scratch[:0], values[fieldRootEntityType])) != "Organization" {
			return Event{}, ReasonNoOrganization
		}
		organization = values[fieldRootEntityID]
	}
	if ev.Organization, ok = guid(organization); !ok {
		return Event{}, ReasonNoOrganization
	}
	if seconds, ok := smallInt(values[fieldTTL]); ok {
		ev.TTLSeconds = seconds
	}
	if text := shortText(scratch[:0], values[fieldTimestamp]); text != nil {
		ev.Timestamp, _ = parseDateTime(text)
	}
	ev.ID, _ = guid(values[fieldID])
	return ev, why
}

// shortText is the text of a JSON string, written to dst if it has escapes. It is nil if the value is no
// string, takes more than maxShort bytes in the message, or has broken escapes.
func shortText(dst, value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	inside := value[1 : len(value)-1]
	if len(inside) > maxShort {
		return nil
	}
	if plainEnd(inside, 0) == len(inside) {
		return inside
	}
	if end, _ := checkString(value, 0); end != len(value) {
		return nil
	}
	return appendUnescaped(dst, inside)
}

// guid reads a JSON string that is a GUID.
func guid(value []byte) (ID, bool) {
	if len(value) == idLen+2 && value[0] == '"' {
		return ParseID(value[1 : idLen+1])
	}
	var scratch [maxShort]byte
	return ParseID(shortText(scratch[:0], value))
}

// smallInt reads a JSON integer of at most nine digits.
func smallInt(value []byte) (n int, ok bool) {
	digits, negative := value, false
	if len(value) > 0 && value[0] == '-' {
		digits, negative = value[1:], true
	}
	if len(digits) == 0 || len(digits) > 9 {
		return 0, false
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// parseDateTime reads a date and time as .NET writes a DateTime: ISO 8601 with up to seven (here: any number
// of) fractional digits and a zone of Z, an offset or none, which is taken as UTC.
func parseDateTime(s []byte) (time.Time, bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) < len(layout) || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	var parts [6]int
	for i, at := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		for _, c := range s[at[0]:at[1]] {
			if c-'0' > 9 {
				return time.Time{}, false
			}
			parts[i] = parts[i]*10 + int(c-'0')
		}
	}
	year, month, day, hour, minute, second := parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5]
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	s = s[len(layout):]
	nanos := 0
	if len(s) > 0 && s[0] == '.' {
		end := digitsEnd(s, 1)
		if end == 1 {
			return time.Time{}, false
		}
		for i := 1; i <= 9; i++ {
			nanos *= 10
			if i < end {
				nanos += int(s[i] - '0')
			}
		}
		s = s[end:]
	}
	offset, ok := zoneOffset(s)
	if !ok {
		return time.Time{}, false
	}
	return time.Date(year, month, day, hour, minute, second, nanos, time.UTC).Add(-offset), true
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// zoneOffset reads Z, +hh:mm, -hh:mm or nothing.
func zoneOffset(s []byte) (time.Duration, bool) {
	if len(s) == 0 || len(s) == 1 && s[0]|0x20 == 'z' {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, okHours := smallInt(s[1:3])
	minutes, okMinutes := smallInt(s[4:6])
	if !okHours || !okMinutes || hours < 0 || hours > 14 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}
