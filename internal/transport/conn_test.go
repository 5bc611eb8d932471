package transport

import (
	"testing"
	"unsafe"
)

// A write of the shard misses the processor's cache for each line of a connection that it reads.
func TestConn_keepsTheFieldsOfAWriteTogether(t *testing.T) {
	var c Conn
	for name, end := range map[string]uintptr{
		"sock":   unsafe.Offsetof(c.sock) + unsafe.Sizeof(c.sock),
		"unread": unsafe.Offsetof(c.unread) + unsafe.Sizeof(c.unread),
		"sent":   unsafe.Offsetof(c.sent) + unsafe.Sizeof(c.sent),
	} {
		if end > 64 {
			t.Errorf("%s ends at byte %d of the connection, want 64 at most", name, end)
		}
	}
	if size := unsafe.Sizeof(c); size > 512 {
		t.Errorf("a connection takes %d bytes, want 512 at most, a size of the allocator", size)
	}
}
