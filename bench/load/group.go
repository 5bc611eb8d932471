package load

import "sync/atomic"

// Group is a set of connections that are counted together and subscribe alike: connection i subscribes to Count topics
// from First + (i*Stride) % Span on, wrapping around after Span.
type Group struct {
	Name         string
	Organization int
	Connections  int
	First        uint32 // topic
	Span         int    // topics of the whole group
	Count        int    // topics per connection
	Stride       int
	// SmallBuffers makes sockets hold little unread data, as across a real network: 4 KB to receive, segments of 1,400
	// bytes. A server then notices within seconds that a client does not read.
	SmallBuffers bool

	delivered atomic.Uint64
	bytes     atomic.Uint64
	closed    atomic.Uint64

	conns   []*conn // owned by the loop, like all fields below
	tally   tally
	latency *Histogram
	ready   *Histogram // from the start of a connection to its last subscription
}

// tally counts faults.
type tally struct {
	late, duplicates, foreign uint64
}

// Delivered returns the number of deliveries so far. Any goroutine may call it.
func (g *Group) Delivered() uint64 { return g.delivered.Load() }

// Bytes returns the payload bytes of WebSocket frames so far, with keep-alives. Any goroutine may call it.
func (g *Group) Bytes() uint64 { return g.bytes.Load() }

// Closed returns the number of established connections that the server has ended. Any goroutine may call it.
func (g *Group) Closed() uint64 { return g.closed.Load() }

// Topic returns the nth topic of a connection.
func (g *Group) Topic(connection, n int) uint32 {
	return g.First + uint32((connection*g.Stride+n)%g.Span) //nolint:gosec // scenarios are small
}

// base returns the offset in Span of the first topic of a connection.
func (g *Group) base(connection int) int { return connection * g.Stride % g.Span }

// slot is the inverse of Topic: it returns n for the nth topic of the connection with that base, and a negative number
// for other topics.
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

// Subscribers returns the number of connections that have a topic among their first upTo topics.
func (g *Group) Subscribers(topic uint32, upTo int) int {
	subscribers := 0
	for i := range g.Connections {
		if n := g.slot(g.base(i), topic); n >= 0 && n < upTo {
			subscribers++
		}
	}
	return subscribers
}
