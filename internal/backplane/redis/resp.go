package redis

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	// maxLine bounds the lines of the protocol: sizes, numbers and error texts.
	maxLine = 64 << 10
)

// errProtocol ends an epoch: the server sent what a subscribed connection does not receive.
var errProtocol = errors.New("unexpected reply")

// replyKind says what a reply is.
type replyKind uint8

const (
	// replyMessage: channel and payload are set.
	replyMessage replyKind = iota
	// replySubscribed and replyUnsubscribed: channel is set.
	replySubscribed
	replyUnsubscribed
	// replyPong answers a PING.
	replyPong
	// replyError: payload is the error text.
	replyError
)

// reply is one answer or push of the server to a subscribed connection. What it points to is valid until the next one is
// read, the payload of a message as long as its chunk is.
type reply struct {
	kind    replyKind
	channel []byte
	payload []byte
	chunk   *chunk // of a message: to be released when the payload is not needed any more
	// size is the size of a payload that was over the limit and was left out; else 0.
	size int
}

// reader reads the replies of a subscribed connection (RESP2). Payloads are parts of chunks, so that a message costs
// neither a copy nor an allocation of its own.
type reader struct {
	src   io.Reader
	limit int // of a payload, in bytes

	chunk  *chunk // chunk.data[pos:end] was read and not yet consumed
	pos    int
	end    int
	before *chunk // where the latest reply begins, if that is another one; else nil
}

func newReader(src io.Reader, limit int, chunks *chunks) *reader {
	return &reader{src: src, limit: limit, chunk: chunks.get(chunkSize)}
}

// next waits for the next reply.
func (r *reader) next() (reply, error) {
	if r.before != nil {
		r.before.finish()
		r.before = nil
	}
	if m, ok := r.quick(); ok {
		return m, nil
	}
	line, err := r.line()
	if err != nil {
		return reply{}, err
	}
	switch line[0] {
	case '*':
		return r.push(line[1:])
	case '-':
		return reply{kind: replyError, payload: line[1:]}, nil
	case '+':
		if string(line[1:]) == "PONG" {
			return reply{kind: replyPong}, nil
		}
	}
	return reply{}, errProtocol
}

// heads are how the replies begin that come in numbers, up to the length of the channel.
var heads = [...]struct {
	kind replyKind
	text string
}{
	{replyMessage, "*3\r\n$7\r\nmessage\r\n$"},
	{replyMessage, "*3\r\n$8\r\nsmessage\r\n$"},
	{replySubscribed, "*3\r\n$9\r\nsubscribe\r\n$"},
	{replySubscribed, "*3\r\n$10\r\nssubscribe\r\n$"},
}

// quick reads a reply if all of it is there and it is of those that come in numbers; else it does nothing, and the reply
// is read piece by piece.
func (r *reader) quick() (m reply, ok bool) {
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
		m.kind, m.channel = head.kind, rest[start:end]
		switch next := rest[end+2]; {
		case m.kind == replyMessage && next == '$':
			start, end = element(rest, end+3)
			if end < 0 || end-start > r.limit {
				return m, false
			}
			m.payload, m.chunk = rest[start:end:end], r.give()
		case m.kind == replySubscribed && next == ':':
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

// element finds a bulk string whose length stands at i; end is negative if it is not all there, or none.
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
func (r *reader) push(count []byte) (reply, error) {
	n, ok := number(count)
	if !ok || n < 2 || n > 3 {
		return reply{}, errProtocol
	}
	kind, _, err := r.bulk()
	if err != nil {
		return reply{}, err
	}
	if n == 2 {
		if string(kind) != "pong" {
			return reply{}, errProtocol
		}
		_, _, err := r.bulk()
		return reply{kind: replyPong}, err
	}
	channel, size, err := r.bulk()
	if err != nil {
		return reply{}, err
	}
	if size != 0 {
		return reply{}, errProtocol
	}
	switch string(kind) {
	case "message", "smessage":
		payload, size, err := r.bulk()
		return reply{kind: replyMessage, channel: channel, payload: payload, chunk: r.give(), size: size}, err
	case "subscribe", "ssubscribe":
		return reply{kind: replySubscribed, channel: channel}, r.integer()
	case "unsubscribe", "sunsubscribe":
		return reply{kind: replyUnsubscribed, channel: channel}, r.integer()
	}
	return reply{}, errProtocol
}

// bulk reads a bulk string. One that is over the limit is passed over; then its size is returned in its place.
func (r *reader) bulk() (data []byte, size int, err error) {
	line, err := r.line()
	if err != nil {
		return nil, 0, err
	}
	if line[0] != '$' {
		return nil, 0, errProtocol
	}
	n, ok := number(line[1:])
	if !ok {
		return nil, 0, errProtocol
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
		return nil, 0, errProtocol
	}
	r.pos += 2
	return data, 0, nil
}

// give counts a message that is given out.
func (r *reader) give() *chunk {
	r.chunk.given++
	return r.chunk
}

// integer reads and forgets a number: the server's count of subscriptions.
func (r *reader) integer() error {
	line, err := r.line()
	if err == nil && line[0] != ':' {
		err = errProtocol
	}
	return err
}

// line reads up to the end of a line, which it leaves out. The line is not empty.
func (r *reader) line() ([]byte, error) {
	for scanned := 0; ; {
		if i := bytes.IndexByte(r.chunk.data[r.pos+scanned:r.end], '\n'); i >= 0 {
			i += scanned
			if i < 2 || r.chunk.data[r.pos+i-1] != '\r' {
				return nil, errProtocol
			}
			line := r.chunk.data[r.pos : r.pos+i-1]
			r.pos += i + 1
			return line, nil
		}
		scanned = r.end - r.pos
		if scanned > maxLine {
			return nil, errProtocol
		}
		if err := r.need(scanned + 1); err != nil {
			return nil, err
		}
	}
}

// need reads until n bytes are in the chunk from pos on.
func (r *reader) need(n int) error {
	if r.pos+n > len(r.chunk.data) {
		next := r.chunk.owner.get(n)
		r.end = copy(next.data, r.chunk.data[r.pos:r.end])
		if r.before == nil { // else it is part of a reply of many chunks, and left to the collector
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

// skip passes over n bytes without keeping them.
func (r *reader) skip(n int) error {
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

// number reads a size.
func number(text []byte) (int, bool) {
	const longest = 1 << 40 // far more than a Redis can hold
	n, err := strconv.Atoi(string(text))
	return n, err == nil && n >= 0 && n <= longest
}

// appendCommand adds a command in the form that servers read.
func appendCommand(dst []byte, name string, args int) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(args)+1, 10)
	dst = append(dst, '\r', '\n')
	return appendArg(dst, name)
}

// appendArg adds an argument of a command.
func appendArg(dst []byte, arg string) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(arg)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, arg...)
	return append(dst, '\r', '\n')
}
