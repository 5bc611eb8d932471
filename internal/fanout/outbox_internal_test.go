package fanout

import (
	"testing"
	"unsafe"
)

// A direct pass misses the processor's cache for each line of an outbox that it reads.
func TestOutbox_keepsTheFieldsOfADirectPassTogether(t *testing.T) {
	var o Outbox
	length := unsafe.Offsetof(o.buf) + unsafe.Sizeof(uintptr(0)) // of o.buf
	for name, end := range map[string]uintptr{
		"writer": unsafe.Offsetof(o.writer) + unsafe.Sizeof(o.writer), "resumption": unsafe.Offsetof(o.resumption) + 8,
		"protocol": unsafe.Offsetof(o.protocol) + unsafe.Sizeof(o.protocol),
		"status":   unsafe.Offsetof(o.status) + unsafe.Sizeof(o.status), "queue": unsafe.Offsetof(o.queue) + 8,
		"the length of buf": length + 8,
	} {
		if end > 64 {
			t.Errorf("%s ends at byte %d of the outbox, want 64 at most", name, end)
		}
	}
	if size := unsafe.Sizeof(o); size > 160 {
		t.Errorf("an outbox takes %d bytes, want 160 at most, a size of the allocator", size)
	}
}
