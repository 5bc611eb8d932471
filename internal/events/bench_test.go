package events_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

func BenchmarkDecode(b *testing.B) {
	c := events.Builtin()
	data := sample(b, "UserStatus")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		c.Decode(data)
	}
}

func BenchmarkJSON(b *testing.B) {
	c := events.Builtin()
	data := sample(b, "UserStatus")
	ev, _ := c.Decode(data)
	var buf []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = c.AppendJSON(buf[:0], &ev)
	}
}
