package hubprotocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

const userStatus = `{"RootEntityType":"Organization","RootEntityId":"29f6e823-b484-e611-80c9-00505689257e",` +
	`"EventType":"UserStatus","EntityType":"User","EntityId":"AA9730C4-ce86-e611-80c9-00505689257e",` +
	`"MessageTTLSeconds":60,"OrganizationId":"29f6e823-b484-e611-80c9-00505689257e","Talking":false,"ActiveQueueId":null}`

func decodeEvent(t testing.TB, data string) *events.Event {
	t.Helper()
	ev, err := events.Builtin().Decode([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return &ev
}

func TestJSONEncoder(t *testing.T) {
	frame, err := NewJSONEncoder(events.Builtin()).Encode(decodeEvent(t, userStatus))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":1,"target":"MessageReceived","arguments":[{"subscription":{` +
		`"id":"00000000-0000-0000-0000-000000000000","allRootEntities":false,` +
		`"rootEntityId":"29f6e823-b484-e611-80c9-00505689257e","rootEntityType":"Organization",` +
		`"organizationId":"29f6e823-b484-e611-80c9-00505689257e","eventType":"UserStatus","entityType":"User",` +
		`"entityId":"aa9730c4-ce86-e611-80c9-00505689257e","allEntities":false},` +
		`"data":{"rootEntityType":"Organization","rootEntityId":"29f6e823-b484-e611-80c9-00505689257e",` +
		`"eventType":"UserStatus","entityType":"User","entityId":"AA9730C4-ce86-e611-80c9-00505689257e",` +
		`"messageTTLSeconds":60,"organizationId":"29f6e823-b484-e611-80c9-00505689257e","talking":false,` +
		`"activeQueueId":null}}]}` + "\x1e"
	if diff := cmp.Diff(want, string(frame.Bytes[4:])); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(frame.Bytes[:4], []byte{0x81, 126, byte(len(want) >> 8), byte(len(want))}) {
		t.Errorf("header %x for %d bytes", frame.Bytes[:4], len(want))
	}
	checkIDOffset(t, frame.Bytes, frame.IDOffset)
}

// checkIDOffset checks that the subscription id is at the offset of the frame, and only there.
func checkIDOffset(t *testing.T, frame []byte, offset int) {
	t.Helper()
	id := events.ID{}.String()
	if !bytes.HasPrefix(frame[offset:], []byte(id)) || bytes.Count(frame, []byte(id)) != 1 {
		t.Errorf("at offset %d: %s", offset, frame[offset:])
	}
}

func TestMessagePackEncoder(t *testing.T) {
	for style, name := range map[events.PackStyle]func(string) string{
		events.PascalKeys: func(name string) string { return name },
		events.CamelKeys:  events.CamelCase,
	} {
		frame, err := NewMessagePackEncoder(events.Builtin(), style).Encode(decodeEvent(t, userStatus))
		if err != nil {
			t.Fatal(err)
		}
		message := frame.Bytes[4:]
		if !bytes.Equal(frame.Bytes[:4], []byte{0x82, 126, byte(len(message) >> 8), byte(len(message))}) {
			t.Errorf("header %x for %d bytes", frame.Bytes[:4], len(message))
		}
		if n, done, err := takeMessagePack(nil, message, 1<<20); n != len(message) || !done || err != nil {
			t.Fatalf("length prefix: %d of %d, %v, %v", n, len(message), done, err)
		}
		checkIDOffset(t, frame.Bytes, frame.IDOffset)
		// The part before the argument is that of section 1.10.
		if want := "960180c0af" + hex.EncodeToString([]byte("MessageReceived")) +
			"91"; !strings.HasPrefix(hex.EncodeToString(bodyOf(message)), want) {
			t.Errorf("%x, want %s", message, want)
		}
		var got []any
		if err := library.Unmarshal(bodyOf(message), &got); err != nil {
			t.Fatal(err)
		}
		const org = "29f6e823-b484-e611-80c9-00505689257e"
		want := []any{int8(1), map[string]any{}, nil, "MessageReceived", []any{map[string]any{
			name("Subscription"): map[string]any{
				name("Id"): events.ID{}.String(), name("AllRootEntities"): false, name("RootEntityId"): org,
				name("RootEntityType"): "Organization", name("OrganizationId"): org, name("EventType"): "UserStatus",
				name("EntityType"): "User", name("EntityId"): "aa9730c4-ce86-e611-80c9-00505689257e",
				name("AllEntities"): false,
			},
			name("Data"): map[string]any{
				name("RootEntityType"): "Organization", name("RootEntityId"): org, name("EventType"): "UserStatus",
				name("EntityType"): "User", name("EntityId"): "AA9730C4-ce86-e611-80c9-00505689257e",
				name("MessageTTLSeconds"): int8(60), name("OrganizationId"): org, name("Talking"): false,
				name("ActiveQueueId"): nil,
			},
		}}, []any{}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Both encoders at the lengths at which a header or a length prefix grows.
func TestEncoders_Lengths(t *testing.T) {
	for _, filler := range []int{0, 15_000, 15_500, 16_000, 16_384, 60_000, 64_600, 65_000, 65_536} {
		data := strings.Replace(userStatus, `"Talking":false`, `"Filler":"`+strings.Repeat("x", filler)+`"`, 1)
		catalog := events.Builtin().Limit(1 << 20)
		ev, err := catalog.Decode([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := NewJSONEncoder(catalog).Encode(&ev)
		if err != nil {
			t.Fatal(err)
		}
		checkIDOffset(t, text.Bytes, text.IDOffset)
		start := bytes.IndexByte(text.Bytes, '{')
		if !json.Valid(text.Bytes[start : len(text.Bytes)-1]) {
			t.Errorf("%d: not JSON", filler)
		}
		packed, err := NewMessagePackEncoder(catalog, events.PascalKeys).Encode(&ev)
		if err != nil {
			t.Fatal(err)
		}
		checkIDOffset(t, packed.Bytes, packed.IDOffset)
		for _, frame := range [][]byte{text.Bytes, packed.Bytes} {
			masked := bytes.Clone(frame)
			masked[1] |= 0x80 // the mask bit
			header := map[byte]int{126: 4, 127: 10}[frame[1]]
			if header == 0 {
				header = 2
			}
			masked = append(append(masked[:header:header], 0, 0, 0, 0), masked[header:]...)
			r := websocket.FrameReader{MaxFrame: 1 << 20}
			part, rest, v := r.Next(masked)
			if v != (websocket.Violation{}) || len(rest) != 0 || !bytes.Equal(part.Payload, frame[header:]) {
				t.Errorf("%d: %d bytes left, %+v", filler, len(rest), v)
			}
		}
	}
}

func TestEncoders_Malformed(t *testing.T) {
	ev := decodeEvent(t, userStatus)
	ev.Data = []byte(`{"EventType":`)
	unknown := *ev
	unknown.Type = 0
	for _, ev := range []*events.Event{ev, &unknown} {
		if _, err := NewJSONEncoder(events.Builtin()).Encode(ev); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("JSON: %v", err)
		}
		if _, err := NewMessagePackEncoder(
			events.Builtin(), events.PascalKeys,
		).Encode(ev); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("MessagePack: %v", err)
		}
	}
}

func BenchmarkJSONEncoder(b *testing.B) {
	encoder, ev := NewJSONEncoder(events.Builtin()), decodeEvent(b, userStatus)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encoder.Encode(ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMessagePackEncoder(b *testing.B) {
	encoder, ev := NewMessagePackEncoder(events.Builtin(), events.PascalKeys), decodeEvent(b, userStatus)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encoder.Encode(ev); err != nil {
			b.Fatal(err)
		}
	}
}
