package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/events"
)

// userStatus1KB returns the sample without white space, as a publisher writes it, filled up to 1 KB with more
// properties.
func userStatus1KB(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, sample(tb, "UserStatus")); err != nil {
		tb.Fatal(err)
	}
	out.Truncate(out.Len() - 1)
	for i := 0; out.Len() < 1000; i++ {
		fmt.Fprintf(&out, `,"Reserved%02d":false`, i)
	}
	fmt.Fprintf(&out, `,"R":"%s"}`, bytes.Repeat([]byte("x"), 1024-len(`,"R":""}`)-out.Len()))
	if out.Len() != 1024 || !json.Valid(out.Bytes()) {
		tb.Fatalf("%d bytes: %s", out.Len(), out.Bytes())
	}
	return out.Bytes()
}

// BenchmarkTopic reads the topic of a message without subscribers.
// Target: at most 400 ns and no allocation.
func BenchmarkTopic(b *testing.B) {
	c, data := events.Builtin(), userStatus1KB(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Topic(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTopic_EncodingJSON does the same with encoding/json.
func BenchmarkTopic_EncodingJSON(b *testing.B) {
	data := userStatus1KB(b)
	b.ReportAllocs()
	for b.Loop() {
		var routing struct {
			Organization string `json:"OrganizationId"`
			Entity       string `json:"EntityId"`
			EventType    string
		}
		if err := json.Unmarshal(data, &routing); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode reads all routing fields: one pass over the whole message.
func BenchmarkDecode(b *testing.B) {
	c, data := events.Builtin(), userStatus1KB(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTranscode encodes an event for clients of both protocols, in new memory as for frames.
// Target: at most 5 us and 4 allocations.
func BenchmarkTranscode(b *testing.B) {
	c := events.Builtin()
	ev := mustDecode(b, c, userStatus1KB(b))
	b.ReportAllocs()
	for b.Loop() {
		if err := transcode(c, &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func transcode(c *events.Catalog, ev *events.Event) error {
	if _, err := c.AppendJSON(nil, ev); err != nil {
		return err
	}
	_, err := c.AppendMessagePack(nil, ev, events.PascalKeys)
	return err
}

// BenchmarkTranscode_JSON and BenchmarkTranscode_MessagePack are the halves of BenchmarkTranscode.
func BenchmarkTranscode_JSON(b *testing.B) {
	c := events.Builtin()
	ev := mustDecode(b, c, userStatus1KB(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.AppendJSON(nil, &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTranscode_MessagePack(b *testing.B) {
	c := events.Builtin()
	ev := mustDecode(b, c, userStatus1KB(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.AppendMessagePack(nil, &ev, events.PascalKeys); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTranscode_EncodingJSON does the same with encoding/json and a MessagePack library.
func BenchmarkTranscode_EncodingJSON(b *testing.B) {
	data := userStatus1KB(b)
	b.ReportAllocs()
	for b.Loop() {
		var values map[string]any
		if err := json.Unmarshal(data, &values); err != nil {
			b.Fatal(err)
		}
		renamed := make(map[string]any, len(values))
		for name, value := range values {
			renamed[events.CamelCase(name)] = value
		}
		if _, err := json.Marshal(renamed); err != nil {
			b.Fatal(err)
		}
		if _, err := msgpack.Marshal(values); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStateKey measures the additional cost of a CallbackChanged.
func BenchmarkStateKey(b *testing.B) {
	c := events.Builtin()
	ev := mustDecode(b, c, sample(b, "CallbackChanged"))
	b.ReportAllocs()
	for b.Loop() {
		c.StateKey(&ev)
	}
}

func TestTranscode_allocatesOncePerProtocol(t *testing.T) {
	c := events.Builtin()
	data := userStatus1KB(t)
	ev := mustDecode(t, c, data)
	if allocs := testing.AllocsPerRun(100, func() { _ = transcode(c, &ev) }); allocs != 2 {
		t.Errorf("allocated %v times, want 2", allocs)
	}
	if allocs := testing.AllocsPerRun(100, func() { _, _ = c.Topic(data) }); allocs != 0 {
		t.Errorf("reading the topic allocated %v times, want 0", allocs)
	}
}
