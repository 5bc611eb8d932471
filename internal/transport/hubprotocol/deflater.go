package hubprotocol

import (
	"compress/flate"
	"sync"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// minDeflated is the smallest payload for which compression pays.
const minDeflated = 200

// storedHeader is the length of the header of a stored block.
const storedHeader = 5

// Deflater compresses the frames of events, for WebSockets that negotiated permessage-deflate without context takeover.
// Its frames need no compressor per connection: the beginning of the message up to the end of the subscription id is a
// stored block, so that every subscriber's id goes into the same bytes. The rest is compressed once. Any goroutine may
// use it.
type Deflater struct {
	level int
	pool  sync.Pool // of *compressor
}

// NewDeflater returns a Deflater of a level from 1, the fastest, to 9.
func NewDeflater(level int) *Deflater { return &Deflater{level: level} }

// compressor appends its output to out.
type compressor struct {
	writer *flate.Writer
	out    []byte
}

func (c *compressor) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

// Deflate returns the compressed form of the frame of an event, or the frame itself if that is not larger.
func (d *Deflater) Deflate(f fanout.Frame) fanout.Frame {
	opcode, payload := websocket.Open(f.Bytes)
	stored := f.IDOffset - (len(f.Bytes) - len(payload)) + events.IDLen
	if len(payload) < minDeflated || stored > 0xffff {
		return f
	}
	c, _ := d.pool.Get().(*compressor)
	if c == nil {
		c = &compressor{}
		c.writer, _ = flate.NewWriter(c, d.level) // fails for a wrong level only
	}
	buf := websocket.NewBuffer(len(payload))
	buf = append(buf, 0, byte(stored), byte(stored>>8), ^byte(stored), ^byte(stored>>8)) //nolint:gosec // at most 0xffff
	c.out = append(buf, payload[:stored]...)
	c.writer.Reset(c)
	_, _ = c.writer.Write(payload[stored:]) // the compressor takes everything
	_ = c.writer.Flush()
	out := c.out[:len(c.out)-4] // RFC 7692 section 7.2.1
	c.out = nil
	d.pool.Put(c)
	if len(out)-websocket.HeaderSpace >= len(payload) {
		return f
	}
	frame := websocket.Seal(opcode|websocket.Compressed, out)
	header := len(frame) - (len(out) - websocket.HeaderSpace)
	return fanout.Frame{Bytes: frame, IDOffset: header + storedHeader + stored - events.IDLen}
}
