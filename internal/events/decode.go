package events

import (
	"bytes"
	"errors"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

// Decode reads the routing fields of a published JSON object in one pass, without allocating: OrganizationId (or
// RootEntityId, if RootEntityType is Organization), EntityId, EntityType, EventType, MessageTTLSeconds, Timestamp and
// Id. Their names may be in Pascal or camel case. The event keeps data.
//
// Decode skims everything between these fields. The encoders check the whole message once, if the topic has
// subscribers. The error is a Reason and wraps ErrMalformed.
func (c *Catalog) Decode(data []byte) (Event, error) {
	ev, why := c.decode(data)
	if why != reasonNone {
		return Event{}, why
	}
	return ev, nil
}

// Topic returns the topic that Decode would return. It reads data only up to the last field of the topic, so Decode may
// still refuse the message. Use it if most messages have no subscriber.
func (c *Catalog) Topic(data []byte) (Topic, error) {
	var r routing
	topic, why := c.readTopic(data, &r)
	if why != reasonNone {
		return Topic{}, why
	}
	return topic, nil
}

// field is a top-level property that Decode reads.
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

// fieldOf returns the routing field with an unescaped name.
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

// maxDepth is how deep objects and arrays of an event may nest, the event itself included. .NET clients fail to read a
// message of more than 64 levels, and an event is inside three: the invocation, its arguments, and the argument.
const maxDepth = 64 - 3

// maxShort bounds the names and values that routing compares, in bytes as written in the message. The longest name of
// an event, a routing field with all letters escaped, and any timestamp fit into it.
const maxShort = 128

// routing has the values of the routing fields as written in the message, with quotes; nil if absent. Reading can stop
// in the middle of a message and continue later.
type routing struct {
	values [fieldCount][]byte
	read   fields // fields with a value other than null; all fields after the end of the message
	next   int    // index in the message at which reading continues; 0: at the beginning
}

// fields is a set of routing fields.
type fields uint16

const (
	topicFields = fields(1<<fieldEntityID | 1<<fieldEntityType | 1<<fieldEventType | 1<<fieldOrganizationID)
	allFields   = fields(1<<fieldCount - 1) // with fieldOther, which is never set: reading goes on to the end
)

// decode is Decode with the reason instead of an error. For ReasonUnknownEvent it returns the event without a type.
func (c *Catalog) decode(data []byte) (Event, Reason) {
	var r routing
	if why := c.readAll(data, &r); why != reasonNone {
		return Event{}, why
	}
	topic, why := c.topic(&r.values)
	if why != reasonNone && why != ReasonUnknownEvent {
		return Event{}, why
	}
	return c.route(data, &r.values, topic), why
}

// decodeOn is decode for a message that r has read up to the topic. The rest of the message cannot change the topic.
func (c *Catalog) decodeOn(data []byte, r *routing, topic Topic) (Event, Reason) {
	if why := c.readAll(data, r); why != reasonNone {
		return Event{}, why
	}
	return c.route(data, &r.values, topic), reasonNone
}

// readAll reads a message to its end.
func (c *Catalog) readAll(data []byte, r *routing) Reason {
	if len(data) > c.limit {
		return ReasonTooLarge
	}
	return r.upTo(data, allFields)
}

// readTopic reads a message up to the last field of its topic.
func (c *Catalog) readTopic(data []byte, r *routing) (Topic, Reason) {
	if len(data) > c.limit {
		return Topic{}, ReasonTooLarge
	}
	if why := r.upTo(data, topicFields); why != reasonNone {
		return Topic{}, why
	}
	return c.topic(&r.values)
}

// upTo reads the properties of a message until all wanted fields have a value, or to the end of the message.
func (r *routing) upTo(data []byte, wanted fields) Reason {
	i := r.next
	if i == 0 {
		i = jsonscan.SkipSpace(data, 0)
		if i == len(data) || data[i] != '{' {
			return notObject(data[i:])
		}
		if i = jsonscan.SkipSpace(data, i+1); i < len(data) && data[i] == '}' {
			r.read = allFields
			return endOf(data, i+1)
		}
	}
	for wanted&^r.read != 0 {
		f, end := readName(data, i)
		if end < 0 {
			return ReasonNotJSON
		}
		start := jsonscan.SkipSpace(data, end)
		var err error
		if i, err = jsonscan.SkimValue(data, start, maxDepth-1); err != nil {
			return scanReason(err)
		}
		if f != fieldOther {
			if r.values[f] != nil {
				return ReasonDuplicateField
			}
			r.values[f] = data[start:i]
			if data[start] != 'n' {
				r.read |= 1 << f
			}
		}
		i = jsonscan.SkipSpace(data, i)
		switch {
		case i == len(data):
			return ReasonNotJSON
		case data[i] == '}':
			r.read = allFields
			return endOf(data, i+1)
		case data[i] != ',':
			return ReasonNotJSON
		}
		i = jsonscan.SkipSpace(data, i+1)
		r.next = i
	}
	return reasonNone
}

// readName reads the name of the property that begins at i, and the colon behind it.
func readName(data []byte, i int) (f field, next int) {
	if i >= len(data) || data[i] != '"' {
		return fieldOther, -1
	}
	end := jsonscan.PlainEnd(data, i+1)
	switch {
	case end == len(data):
		return fieldOther, -1
	case data[end] == '"':
		f = fieldOf(data[i+1 : end])
		end++
	default:
		if end, _ = jsonscan.StringEnd(data, i); end < 0 {
			return fieldOther, -1
		}
		var scratch [maxShort]byte
		f = fieldOf(shortText(scratch[:0], data[i:end]))
	}
	if end = jsonscan.SkipSpace(data, end); end == len(data) || data[end] != ':' {
		return fieldOther, -1
	}
	return f, end + 1
}

// notObject returns the reason for a message that does not begin with an object.
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

// scanReason returns the reason for an error of jsonscan.
func scanReason(err error) Reason {
	if errors.Is(err, jsonscan.ErrTooDeep) {
		return ReasonTooDeep
	}
	return ReasonNotJSON
}

// endOf checks that only white space follows from i on.
func endOf(data []byte, i int) Reason {
	if jsonscan.SkipSpace(data, i) != len(data) {
		return ReasonNotJSON
	}
	return reasonNone
}

// topic returns the topic of the values that were read. For ReasonUnknownEvent it returns the topic without a type.
func (c *Catalog) topic(values *[fieldCount][]byte) (Topic, Reason) {
	var scratch [maxShort]byte
	name := shortText(scratch[:0], values[fieldEventType])
	if name == nil {
		return Topic{}, ReasonNoEvent
	}
	var topic Topic
	var known bool
	topic.Type, known = lookup(c, name)
	kind := shortText(scratch[:0], values[fieldEntityType])
	if kind == nil || known && string(kind) != c.Definition(topic.Type).Kind.String() {
		return Topic{}, ReasonWrongEntityType
	}
	var ok bool
	if topic.Entity, ok = guid(values[fieldEntityID]); !ok {
		return Topic{}, ReasonNoEntity
	}
	organization := values[fieldOrganizationID]
	if organization == nil || string(organization) == "null" {
		if string(shortText(scratch[:0], values[fieldRootEntityType])) != "Organization" {
			return Topic{}, ReasonNoOrganization
		}
		organization = values[fieldRootEntityID]
	}
	if topic.Organization, ok = guid(organization); !ok {
		return Topic{}, ReasonNoOrganization
	}
	if !known {
		return topic, ReasonUnknownEvent
	}
	return topic, reasonNone
}

// route returns the event of a topic with the values that were read.
func (c *Catalog) route(data []byte, values *[fieldCount][]byte, topic Topic) Event {
	ev := Event{Topic: topic, TTLSeconds: never, Data: data}
	if def := c.Definition(topic.Type); def != nil {
		ev.TTLSeconds = def.TTLSeconds
	}
	if seconds, ok := smallInt(values[fieldTTL]); ok {
		ev.TTLSeconds = seconds
	}
	var scratch [maxShort]byte
	if text := shortText(scratch[:0], values[fieldTimestamp]); text != nil {
		ev.Timestamp, _ = parseDateTime(text)
	}
	ev.ID, _ = guid(values[fieldID])
	return ev
}

// shortText returns the text of a JSON string. It writes the text to dst if the string has escapes. It returns nil if
// the value is not a string, has more than maxShort bytes in the message, or has malformed escapes.
func shortText(dst, value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	inside := value[1 : len(value)-1]
	if len(inside) > maxShort {
		return nil
	}
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	if end, _ := jsonscan.StringEnd(value, 0); end != len(value) {
		return nil
	}
	return jsonscan.AppendUnescaped(dst, inside)
}

// guid reads a JSON string that contains a GUID.
func guid(value []byte) (ID, bool) {
	if len(value) == IDLen+2 && value[0] == '"' {
		return ParseID(value[1 : IDLen+1])
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
