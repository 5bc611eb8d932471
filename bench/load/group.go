package load

import "sync/atomic"

// Group is a set of connections that are counted together and subscribe alike: connection i listens to Count topics
// from First + (i*Stride) % Span on, wrapping around after Span.
type Group struct {
	Name         string
	Organization int
	Connections  int
	First        uint32 // topic
	Span         int    // topics that the group as a whole listens to
	Count        int    // topics per connection
	Stride       int
	// SmallBuffers makes sockets that hold little unread data, as across a real network, so that not reading
	// is felt by the server within seconds: 4 KB to receive, segments of 1,400 bytes.
	SmallBuffers bool

	delivered atomic.Uint64
	bytes     atomic.Uint64
	closed    atomic.Uint64

	conns   []*conn // owned by the loop, as all below
	tally   tally
	latency *Histogram
	ready   *Histogram // from the start of a connection to its last subscription
}

// tally counts faults.
type tally struct {
	late, duplicates, foreign uint64
}

// Delivered is the number of deliveries so far. Any goroutine may ask.
func (g *Group) Delivered() uint64 { return g.delivered.Load() }

// Bytes is the number of payload bytes of WebSocket frames so far, keep-alive included. Any goroutine may ask.
func (g *Group) Bytes() uint64 { return g.bytes.Load() }

// Closed is the number of established connections that the server ended. Any goroutine may ask.
func (g *Group) Closed() uint64 { return g.closed.Load() }

// Topic is the nth topic of a connection.
func (g *Group) Topic(connection, n int) uint32 {
	return g.First + uint32((connection*g.Stride+n)%g.Span) //nolint:gosec // scenarios are small
}

// base is the offset in Span of the first topic of a connection.
func (g *Group) base(connection int) int { return connection * g.Stride % g.Span }

// slot is the inverse of Topic: which of the topics of the connection with that base a number is; negative if it
// is none of them.
func (g *Group) slot(base int, topic uint32) int {
	offset := int(topic) - int(g.First)
	if offset < 0 || offset >= g.Span {
		return -1
	}
	n := offset - base
	if n < 0 {
		n += g.Span
	}
	if n >= g.Count {
		return -1
	}
	return n
}

// Listeners is how many connections of the group have a topic among their first upTo topics.
func (g *Group) Listeners(topic uint32, upTo int) int {
	listeners := 0
	for i := range g.Connections {
		if n := g.slot(g.base(i), topic); n >= 0 && n < upTo {
			listeners++
		}
	}
	return listeners
}
