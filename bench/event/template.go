package event

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Form is the encoding of an event.
type Form int

const (
	// Published is the JSON object that publishers send, in Pascal case.
	Published Form = iota
	// Message is the argument of MessageReceived as clients receive it: subscription and data, in camel case.
	Message
	// Frame is a WebSocket text frame with the SignalR invocation MessageReceived around Message.
	Frame
)

const (
	invocationStart = `{"type":1,"target":"MessageReceived","arguments":[`
	invocationEnd   = "]}\x1e"
	timestampLen    = len("2006-01-02T15:04:05.0000000Z")
	timestampLayout = "2006-01-02T15:04:05.0000000Z07:00"
	idPlaceholder   = "11111111-1111-4111-8111-111111111111"
	timePlaceholder = "0000-00-00T00:00:00.0000000Z"
	markName        = `"Bench":"`
)

// ErrEventType is the error for an event type without a sample.
var ErrEventType = errors.New("no sample of this event type")

// Template makes the events of one topic in one form. Their bytes are prepared once; only id, timestamp and mark
// change.
type Template struct {
	topic Topic
	bytes []byte
	id    int
	time  int
	mark  int
}

// NewTemplate prepares the events of a topic. In every form, the message that a client receives has messageBytes
// bytes: a filler in the event makes up the difference. The error reports an event that does not fit.
func NewTemplate(topic Topic, form Form, messageBytes int) (*Template, error) {
	fields, ok := samples[topic.Type]
	if !ok {
		return nil, fmt.Errorf("event type %q: %w", topic.Type, ErrEventType)
	}
	bare := message(topic, fields, 0)
	fill := messageBytes - len(bare)
	if fill < 0 {
		return nil, fmt.Errorf("a %s message takes %d bytes, more than %d", topic.Type, len(bare), messageBytes)
	}
	t := &Template{topic: topic}
	switch form {
	case Published:
		t.bytes = []byte(published(topic, fields, fill))
	case Message:
		t.bytes = []byte(message(topic, fields, fill))
	case Frame:
		t.bytes = appendTextFrame(nil, []byte(invocationStart+message(topic, fields, fill)+invocationEnd))
	}
	t.id = bytes.LastIndex(t.bytes, []byte(idPlaceholder))
	t.time = bytes.Index(t.bytes, []byte(timePlaceholder))
	t.mark = bytes.LastIndexByte(t.bytes, markStart) // the last one: the head of a frame has the same byte, 126
	return t, nil
}

// Topic returns the topic of the events.
func (t *Template) Topic() *Topic { return &t.topic }

// Append appends an event to dst. at goes into the mark, wall into the timestamp of the event.
func (t *Template) Append(dst []byte, number uint32, at int64, wall time.Time) []byte {
	start := len(dst)
	dst = append(dst, t.bytes...)
	ev := dst[start:]
	Mark{Topic: t.topic.Number, Number: number, At: at}.Put(ev[t.mark:])
	// The id must be new for every event, because servers may drop repetitions by it.
	putHex(ev[t.id:t.id+8], uint64(t.topic.Number))
	putHex(ev[t.id+28:t.id+36], uint64(number))
	var text [2 * timestampLen]byte // AppendFormat needs room for digits that it removes again
	copy(ev[t.time:t.time+timestampLen], wall.UTC().AppendFormat(text[:0], timestampLayout))
	return dst
}

// published returns the event as JSON, with fill bytes of filler behind the mark.
func published(topic Topic, fields string, fill int) string {
	ids := strings.NewReplacer("$ORG", topic.Organization, "$ENTITY", topic.Entity)
	return `{"RootEntityType":"Organization","RootEntityId":"` + topic.Organization +
		`","EventType":"` + topic.Type + `","EntityType":"` + topic.Kind + `","EntityId":"` + topic.Entity +
		`",` + ids.Replace(fields) +
		`,"Id":"` + idPlaceholder + `","Timestamp":"` + timePlaceholder +
		`",` + markName + string(markStart) + strings.Repeat("0", MarkLen-1) + strings.Repeat("x", fill) + `"}`
}

// message returns the argument of MessageReceived.
func message(topic Topic, fields string, fill int) string {
	return Received(topic, published(topic, fields, fill))
}

// Received returns the argument of MessageReceived for an event as publishers send it.
func Received(topic Topic, published string) string {
	return `{"subscription":{"id":"5b000000-0000-4000-8000-000000000000","allRootEntities":false,"rootEntityId":"` +
		topic.Organization +
		`","rootEntityType":"Organization","organizationId":"` + topic.Organization +
		`","eventType":"` + topic.Type + `","entityType":"` + topic.Kind + `","entityId":"` + topic.Entity +
		`","allEntities":false},"data":` + camelCase(published) + `}`
}

// camelCase lowers the first letter of each property name, which is enough for the samples and the simulator.
func camelCase(object string) string {
	out := []byte(object)
	for i := 0; i+2 < len(out); i++ {
		if (out[i] == '{' || out[i] == ',') && out[i+1] == '"' && 'A' <= out[i+2] && out[i+2] <= 'Z' {
			out[i+2] += 'a' - 'A'
		}
	}
	return string(out)
}

// appendTextFrame appends an unmasked WebSocket text frame (RFC 6455, section 5.2).
func appendTextFrame(dst, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x81, byte(n))
	case n < 1<<16:
		dst = append(dst, 0x81, 126, byte(n>>8), byte(n)) //nolint:gosec // the bytes of n
	default:
		dst = append(dst, 0x81, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(dst, payload...)
}
