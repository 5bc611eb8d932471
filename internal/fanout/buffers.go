package fanout

const (
	// bufferBytes is the size of a fresh buffer: a few messages.
	bufferBytes = 4 << 10
	// keepBytes is the size above which a buffer is left to the garbage collector instead of being kept.
	keepBytes = 128 << 10
	// turnBytes is how much a shard collects in outboxes before it writes them, also in the middle of a turn: with
	// a thousand clients eight messages of a kilobyte each.
	turnBytes = 8 << 20
	// keepTotal bounds what a shard keeps between two turns. Buffers double as they grow, hence twice turnBytes.
	keepTotal = 2 * turnBytes
)

// buffers are a shard's spare buffers. They are not shared, so they need no lock, and what goes out of a socket in
// one turn is the memory of the next one.
type buffers struct {
	free  [][]byte
	bytes int
}

// get returns an empty buffer.
func (b *buffers) get() []byte {
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free[n-1] = nil
		b.free = b.free[:n-1]
		b.bytes -= cap(buf)
		return buf[:0]
	}
	return make([]byte, 0, bufferBytes)
}

// put takes a buffer back. Nobody else may use it any more.
func (b *buffers) put(buf []byte) {
	if size := cap(buf); size >= bufferBytes && size <= keepBytes && b.bytes+size <= keepTotal {
		b.free = append(b.free, buf)
		b.bytes += size
	}
}
