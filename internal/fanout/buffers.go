package fanout

const (
	// bufferBytes is the size of a fresh buffer: a few messages.
	bufferBytes = 4 << 10
	// maxKeptBuffer is the size above which a buffer is left to the garbage collector instead of being kept.
	maxKeptBuffer = 128 << 10
	// collectBytes is how much a turn queue collects in outboxes before it writes them, even in the middle of a turn:
	// eight messages of a kilobyte for each of a thousand clients. Beyond that, writes gain little, and the bytes have
	// left the processor's cache by the time they are written.
	collectBytes = 8 << 20
	// maxKeptBytes bounds the buffers in which a turn queue collects before it writes them, and those that a shard keeps
	// between two turns. Buffers double as they grow, hence twice collectBytes; but those of small events are mostly
	// empty.
	maxKeptBytes = 2 * collectBytes
)

// buffers holds the spare buffers of a shard. Only the shard uses them, so they need no lock, and memory that one turn
// has written to sockets serves the next turn.
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

// put takes a buffer back. The caller must not use it any more.
func (b *buffers) put(buf []byte) {
	if size := cap(buf); size >= bufferBytes && size <= maxKeptBuffer && b.bytes+size <= maxKeptBytes {
		b.free = append(b.free, buf)
		b.bytes += size
	}
}
