package redis

import (
	"sync"
	"sync/atomic"
)

// chunkSize is how much is read from the socket at once.
const chunkSize = 256 << 10

// chunks are what readers read into. Those whose messages are all through are used again: most events are of no use to
// this node, and clearing and collecting the memory that they were read into would be a fifth of what they cost.
type chunks struct {
	idle sync.Pool // of *chunk
}

// chunk is a part of what was read from a socket. It is not written to again while somebody may look at it.
type chunk struct {
	owner *chunks
	data  []byte
	given int64 // messages that the reader has given out; owned by the reader

	users atomic.Int64 // messages that were given out and not released, and the reader, which counts for readerShare
	kept  atomic.Bool  // somebody may look at it for ever
}

// readerShare is more than the messages of a chunk can be.
const readerShare = 1 << 40

// get is a chunk of at least so many bytes.
func (s *chunks) get(n int) *chunk {
	var c *chunk
	if n <= chunkSize {
		c, _ = s.idle.Get().(*chunk)
	}
	if c == nil {
		c = &chunk{owner: s, data: make([]byte, max(n, chunkSize))}
	}
	c.given = 0
	c.users.Store(readerShare)
	return c
}

// finish is called by the reader when it reads into another chunk, and the latest reply is not needed any more.
func (c *chunk) finish() { c.release(readerShare - c.given) }

// release says that so many messages are not needed any more. A chunk that is not released entirely, because messages
// were given up, is left to the collector.
func (c *chunk) release(messages int64) {
	if c.users.Add(-messages) == 0 && !c.kept.Load() && len(c.data) == chunkSize {
		c.owner.idle.Put(c)
	}
}

// keep leaves the chunk to the collector: what it has was given to somebody who may keep it.
func (c *chunk) keep() {
	if !c.kept.Load() {
		c.kept.Store(true)
	}
}
