package resp

import (
	"sync"
	"sync/atomic"
)

// ChunkSize is how much a Reader reads from its source at once.
const ChunkSize = 256 << 10

// Pool holds the memory that Readers read into. It reuses a chunk when all its messages are released: most events are
// of no use to a node, and clearing and collecting their memory would be a fifth of their cost. The zero value is
// ready. Its methods may be called from any goroutine.
type Pool struct {
	idle sync.Pool // of *Chunk
}

// Chunk is a piece of what was read from a source. It is not written to while a message in it is in use.
type Chunk struct {
	pool  *Pool
	data  []byte
	given int64 // messages that the reader has handed out; owned by the reader

	users atomic.Int64 // messages that were handed out and not released, plus the reader, which counts for readerWeight
	kept  atomic.Bool  // a message is kept for an unlimited time
}

// readerWeight exceeds the number of messages that fit into a chunk.
const readerWeight = 1 << 40

// Get returns a chunk of at least n bytes.
func (p *Pool) Get(n int) *Chunk {
	var c *Chunk
	if n <= ChunkSize {
		c, _ = p.idle.Get().(*Chunk)
	}
	if c == nil {
		c = &Chunk{pool: p, data: make([]byte, max(n, ChunkSize))}
	}
	c.given = 0
	c.users.Store(readerWeight)
	return c
}

// Bytes returns the memory of the chunk.
func (c *Chunk) Bytes() []byte { return c.data }

// Give counts a message that is handed out. Only the owner of the chunk, its reader, may call it.
func (c *Chunk) Give() { c.given++ }

// Finish ends the use of the chunk by its reader. Only the reader may call it, when it reads into another chunk and
// nothing refers to its latest reply. It reports whether no message is in use either.
func (c *Chunk) Finish() (unused bool) { return c.Release(readerWeight - c.given) }

// Release reports that n messages are no longer in use, and returns whether the chunk is unused now. A chunk of which a
// message is never released is left to the garbage collector. It may be called from any goroutine.
func (c *Chunk) Release(n int64) (unused bool) {
	if c.users.Add(-n) != 0 {
		return false
	}
	if !c.kept.Load() && len(c.data) == ChunkSize {
		c.pool.idle.Put(c)
	}
	return true
}

// Keep leaves the chunk to the garbage collector: a message in it is kept for an unlimited time. It may be called from
// any goroutine, before the message is released.
func (c *Chunk) Keep() {
	if !c.kept.Load() {
		c.kept.Store(true)
	}
}
