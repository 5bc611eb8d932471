package resp

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// errUnexpected is the error of a Reader for a reply that a subscribed connection does not receive.
var errUnexpected = fmt.Errorf("%w: unexpected reply", ErrProtocol)

// ReplyKind is the kind of a Reply.
type ReplyKind uint8

const (
	// Message has Channel and Payload.
	Message ReplyKind = iota
	// Subscribed confirms the subscription of Channel.
	Subscribed
	// Unsubscribed confirms the end of the subscription of Channel.
	Unsubscribed
	// Pong answers a PING.
	Pong
	// Error has the error text as its Payload.
	Error
)

// Reply is a reply or a message of the server on a subscribed connection. Its slices are valid until the next call of
// Reader.Next; the payload of a message is valid until the chunk is released.
type Reply struct {
	Kind    ReplyKind
	Channel []byte
	Payload []byte
	Chunk   *Chunk // of a Message: release one message when the payload is not needed any more
	// Size is the size of a payload that exceeded the limit and was skipped; else 0.
	Size int
}

// Reader reads the replies on a subscribed connection (RESP2). Payloads are slices of chunks: a message costs neither a
// copy nor an allocation. A Reader belongs to one goroutine.
type Reader struct {
	src   io.Reader
	limit int // of a payload, in bytes

	chunk  *Chunk // chunk.data[pos:end] was read and not yet consumed
	pos    int
	end    int
	before *Chunk // the chunk in which the latest reply begins, if it is another one; else nil
}

// NewReader makes a Reader that skips payloads of more than limit bytes.
func NewReader(src io.Reader, limit int, pool *Pool) *Reader {
	return &Reader{src: src, limit: limit, chunk: pool.Get(ChunkSize)}
}

// Next waits for the next reply. Its error is that of the source, or wraps ErrProtocol if the server sent something
// that a subscribed connection does not receive.
func (r *Reader) Next() (Reply, error) {
	if r.before != nil {
		r.before.Finish()
		r.before = nil
	}
	if m, ok := r.quick(); ok {
		return m, nil
	}
	line, err := r.line()
	if err != nil {
		return Reply{}, err
	}
	switch line[0] {
	case '*':
		return r.push(line[1:])
	case '-':
		return Reply{Kind: Error, Payload: line[1:]}, nil
	case '+':
		if string(line[1:]) == "PONG" {
			return Reply{Kind: Pong}, nil
		}
	}
	return Reply{}, errUnexpected
}

// heads are the beginnings of the frequent replies, up to the length of the channel.
var heads = [...]struct {
	kind ReplyKind
	text string
}{
	{Message, "*3\r\n$7\r\nmessage\r\n$"},
	{Message, "*3\r\n$8\r\nsmessage\r\n$"},
	{Subscribed, "*3\r\n$9\r\nsubscribe\r\n$"},
	{Subscribed, "*3\r\n$10\r\nssubscribe\r\n$"},
}

// quick reads a frequent reply if the chunk contains all of it. Otherwise it does nothing, and Next reads the reply
// piece by piece.
func (r *Reader) quick() (m Reply, ok bool) {
	rest := r.chunk.data[r.pos:r.end]
	for i := range heads {
		head := &heads[i]
		if len(rest) < len(head.text) || string(rest[:len(head.text)]) != head.text {
			continue
		}
		start, end := element(rest, len(head.text))
		if end < 0 || end+2 >= len(rest) {
			return m, false
		}
		m.Kind, m.Channel = head.kind, rest[start:end]
		switch next := rest[end+2]; {
		case m.Kind == Message && next == '$':
			start, end = element(rest, end+3)
			if end < 0 || end-start > r.limit {
				return m, false
			}
			m.Payload, m.Chunk = rest[start:end:end], r.give()
		case m.Kind == Subscribed && next == ':':
			line := bytes.IndexByte(rest[end+2:], '\n')
			if line < 2 || line > maxLine || rest[end+1+line] != '\r' {
				return m, false
			}
			end += line + 1
		default:
			return m, false
		}
		r.pos += end + 2
		return m, true
	}
	return m, false
}

// element finds the bulk string whose length begins at i. end is negative if b does not contain all of it.
func element(b []byte, i int) (start, end int) {
	n := 0
	first := i
	for ; i < len(b) && b[i]-'0' <= 9 && i-first < 10; i++ {
		n = 10*n + int(b[i]-'0')
	}
	start, end = i+2, i+2+n
	if i == first || end+2 > len(b) || b[i] != '\r' || b[i+1] != '\n' || b[end] != '\r' || b[end+1] != '\n' {
		return 0, -1
	}
	return start, end
}

// push reads the elements of an array: a message, a confirmation, or the pong of a subscribed connection.
func (r *Reader) push(count []byte) (Reply, error) {
	n, ok := number(count)
	if !ok || n < 2 || n > 3 {
		return Reply{}, errUnexpected
	}
	kind, _, err := r.bulk()
	if err != nil {
		return Reply{}, err
	}
	if n == 2 {
		if string(kind) != "pong" {
			return Reply{}, errUnexpected
		}
		_, _, err := r.bulk()
		return Reply{Kind: Pong}, err
	}
	channel, size, err := r.bulk()
	if err != nil {
		return Reply{}, err
	}
	if size != 0 {
		return Reply{}, errUnexpected
	}
	switch string(kind) {
	case "message", "smessage":
		payload, size, err := r.bulk()
		return Reply{Kind: Message, Channel: channel, Payload: payload, Chunk: r.give(), Size: size}, err
	case "subscribe", "ssubscribe":
		return Reply{Kind: Subscribed, Channel: channel}, r.integer()
	case "unsubscribe", "sunsubscribe":
		return Reply{Kind: Unsubscribed, Channel: channel}, r.integer()
	}
	return Reply{}, errUnexpected
}

// bulk reads a bulk string. It skips one that exceeds the limit, and then returns its size instead.
func (r *Reader) bulk() (data []byte, size int, err error) {
	line, err := r.line()
	if err != nil {
		return nil, 0, err
	}
	if line[0] != '$' {
		return nil, 0, errUnexpected
	}
	n, ok := number(line[1:])
	if !ok {
		return nil, 0, errUnexpected
	}
	if n > r.limit {
		return nil, n, r.skip(n + 2)
	}
	if err := r.need(n + 2); err != nil {
		return nil, 0, err
	}
	text := r.chunk.data[r.pos : r.pos+n+2]
	data = text[:n:n]
	r.pos += n
	if text[n] != '\r' || text[n+1] != '\n' {
		return nil, 0, errUnexpected
	}
	r.pos += 2
	return data, 0, nil
}

// give counts a message that is handed out.
func (r *Reader) give() *Chunk {
	r.chunk.Give()
	return r.chunk
}

// integer reads and drops a number: the server's count of subscriptions.
func (r *Reader) integer() error {
	line, err := r.line()
	if err == nil && line[0] != ':' {
		err = errUnexpected
	}
	return err
}

// line reads a line and returns it without its end. The line is not empty.
func (r *Reader) line() ([]byte, error) {
	for scanned := 0; ; {
		if i := bytes.IndexByte(r.chunk.data[r.pos+scanned:r.end], '\n'); i >= 0 {
			i += scanned
			if i < 2 || r.chunk.data[r.pos+i-1] != '\r' {
				return nil, errUnexpected
			}
			line := r.chunk.data[r.pos : r.pos+i-1]
			r.pos += i + 1
			return line, nil
		}
		scanned = r.end - r.pos
		if scanned > maxLine {
			return nil, errUnexpected
		}
		if err := r.need(scanned + 1); err != nil {
			return nil, err
		}
	}
}

// need reads until the chunk contains n bytes from pos on.
func (r *Reader) need(n int) error {
	if r.pos+n > len(r.chunk.data) {
		next := r.chunk.pool.Get(n)
		r.end = copy(next.data, r.chunk.data[r.pos:r.end])
		if r.before == nil { // else the reply spans many chunks; those in between are left to the garbage collector
			r.before = r.chunk
		}
		r.chunk, r.pos = next, 0
	}
	for r.end-r.pos < n {
		got, err := r.src.Read(r.chunk.data[r.end:])
		r.end += got
		if err != nil && r.end-r.pos < n {
			return err
		}
	}
	return nil
}

// skip drops n bytes.
func (r *Reader) skip(n int) error {
	for {
		have := min(n, r.end-r.pos)
		r.pos += have
		if n -= have; n == 0 {
			return nil
		}
		if err := r.need(1); err != nil {
			return err
		}
	}
}

// number parses a size.
func number(text []byte) (int, bool) {
	const longest = 1 << 40 // far more than a Redis can store
	n, err := strconv.Atoi(string(text))
	return n, err == nil && n >= 0 && n <= longest
}
