package hubprotocol

import (
	"encoding/binary"
	"fmt"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/msgpack"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// methodName is the client method that receives events. .NET and Java match it case-sensitively (section 1.6).
const methodName = "MessageReceived"

// rootEntityType is the type of the root entity of every subscription.
const rootEntityType = "Organization"

// subscriptionRoom is more than the length of everything around the data of an event.
const subscriptionRoom = 512

// JSONEncoder makes MessageReceived frames for JSON clients. Any goroutine may use it.
type JSONEncoder struct {
	catalog *events.Catalog
}

// MessagePackEncoder makes MessageReceived frames for MessagePack clients. Any goroutine may use it.
type MessagePackEncoder struct {
	catalog *events.Catalog
	keys    packKeys
}

var (
	_ fanout.Encoder = (*JSONEncoder)(nil)
	_ fanout.Encoder = (*MessagePackEncoder)(nil)
)

// NewJSONEncoder returns an encoder for the events of a catalog.
func NewJSONEncoder(catalog *events.Catalog) *JSONEncoder { return &JSONEncoder{catalog} }

// NewMessagePackEncoder returns an encoder for the events of a catalog, with property names in the given style.
func NewMessagePackEncoder(catalog *events.Catalog, style events.PackStyle) *MessagePackEncoder {
	return &MessagePackEncoder{catalog, packKeys{style}}
}

// Encode returns the frame of an event: the nine documented properties of the subscription in the documented order,
// then the data in camel case. The error is one of package events.
func (e *JSONEncoder) Encode(ev *events.Event) (fanout.Frame, error) {
	definition := e.catalog.Definition(ev.Type)
	if definition == nil {
		return fanout.Frame{}, fmt.Errorf("encode event: %w", events.ErrMalformed)
	}
	buf := websocket.NewBuffer(subscriptionRoom + len(ev.Data))
	buf = append(buf, `{"type":1,"target":"`+methodName+`","arguments":[{"subscription":{"id":"`...)
	idOffset := len(buf)
	buf = events.ID{}.Append(buf)
	buf = append(buf, `","allRootEntities":false,"rootEntityId":"`...)
	buf = ev.Organization.Append(buf)
	buf = append(buf, `","rootEntityType":"`+rootEntityType+`","organizationId":"`...)
	buf = ev.Organization.Append(buf)
	buf = append(buf, `","eventType":`...)
	buf = AppendJSONString(buf, definition.Name)
	buf = append(buf, `,"entityType":`...)
	buf = AppendJSONString(buf, definition.Kind.String())
	buf = append(buf, `,"entityId":"`...)
	buf = ev.Entity.Append(buf)
	buf = append(buf, `","allEntities":false},"data":`...)
	buf, err := e.catalog.AppendJSON(buf, ev)
	if err != nil {
		return fanout.Frame{}, fmt.Errorf("encode event: %w", err)
	}
	buf = append(buf, `}]}`...)
	buf = append(buf, RecordSeparator)
	frame := websocket.Seal(websocket.OpText, buf)
	return fanout.Frame{Bytes: frame, IDOffset: idOffset - (len(buf) - len(frame))}, nil
}

// Encode returns the frame of an event: [1, {}, nil, "MessageReceived", [{Subscription, Data}], []] behind the length
// prefix (section 1.10). The error is one of package events.
func (e *MessagePackEncoder) Encode(ev *events.Event) (fanout.Frame, error) {
	definition := e.catalog.Definition(ev.Type)
	if definition == nil {
		return fanout.Frame{}, fmt.Errorf("encode event: %w", events.ErrMalformed)
	}
	// The length prefix goes right before the body when its length is known.
	const bodyStart = websocket.HeaderSpace + maxPrefix
	buf := websocket.NewBuffer(maxPrefix + subscriptionRoom + len(ev.Data))[:bodyStart]
	buf = append(buf, msgpack.FixArray|6, byte(TypeInvocation), msgpack.FixMap, msgpack.Nil)
	buf = msgpack.AppendString(buf, methodName)
	buf = append(buf, msgpack.FixArray|1, msgpack.FixMap|2)
	buf = append(e.keys.append(buf, "Subscription"), msgpack.FixMap|9)
	buf = appendPackID(e.keys.append(buf, "Id"), events.ID{})
	idOffset := len(buf) - events.IDLen
	buf = msgpack.AppendBool(e.keys.append(buf, "AllRootEntities"), false)
	buf = appendPackID(e.keys.append(buf, "RootEntityId"), ev.Organization)
	buf = msgpack.AppendString(e.keys.append(buf, "RootEntityType"), rootEntityType)
	buf = appendPackID(e.keys.append(buf, "OrganizationId"), ev.Organization)
	buf = msgpack.AppendString(e.keys.append(buf, "EventType"), definition.Name)
	buf = msgpack.AppendString(e.keys.append(buf, "EntityType"), definition.Kind.String())
	buf = appendPackID(e.keys.append(buf, "EntityId"), ev.Entity)
	buf = msgpack.AppendBool(e.keys.append(buf, "AllEntities"), false)
	buf, err := e.catalog.AppendMessagePack(e.keys.append(buf, "Data"), ev, e.keys.style)
	if err != nil {
		return fanout.Frame{}, fmt.Errorf("encode event: %w", err)
	}
	buf = append(buf, msgpack.FixArray)

	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(len(buf)-bodyStart)) //nolint:gosec // not negative
	copy(buf[bodyStart-n:], prefix[:n])
	frame := websocket.Seal(websocket.OpBinary, buf[maxPrefix-n:])
	return fanout.Frame{Bytes: frame, IDOffset: idOffset - (len(buf) - len(frame))}, nil
}

func appendPackID(dst []byte, id events.ID) []byte {
	return id.Append(append(dst, msgpack.Str8, events.IDLen))
}
