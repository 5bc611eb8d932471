package smuggling

import (
	"bytes"
	"strconv"
	"strings"
)

// Guard follows the requests of a connection. Its zero value is at the beginning of one. One goroutine may use it.
type Guard struct {
	state   state
	left    uint64 // stateBody and stateData: bytes to come
	line    []byte // the beginning of the current line
	length  int    // of the current line so far
	version string // of the request, once its first line has ended
	framed  bool   // the head has a Content-Length or a Transfer-Encoding
	chunked bool   // it has a Transfer-Encoding
	size    uint64 // its Content-Length
	inHead  bool   // stateRefused: in a head
}

// state is the part of a request that the next byte belongs to.
type state uint8

const (
	stateRequest state = iota // the request line, or empty lines in front of it
	stateHeader
	stateBody  // of a known length
	stateChunk // the line with the size of a chunk
	stateData
	stateDataEnd
	stateTrailer
	stateRefused
)

// maxLine is the number of bytes of a line that the guard keeps. Valid lines of the checked headers are shorter; it
// refuses longer ones.
const maxLine = 128

// versionLen is the length of the version at the end of a request line.
const versionLen = len("HTTP/1.1")

// Check reads bytes of the client. If ok is false, the guard has refused the request: the caller may use only the first
// good bytes. They end with a line.
func (g *Guard) Check(p []byte) (good int, ok bool) {
	for rest := p; len(rest) > 0; {
		n := 0
		switch g.state {
		case stateRefused:
			return len(p) - len(rest), false
		case stateBody, stateData:
			n = g.skip(rest)
		default:
			n = g.read(rest)
		}
		rest = rest[n:]
		if g.state == stateRefused {
			return len(p) - len(rest), false
		}
	}
	return len(p), true
}

// Between reports whether the next byte begins a request.
func (g *Guard) Between() bool { return g.state == stateRequest && g.length == 0 }

// skip passes bytes of a body.
func (g *Guard) skip(p []byte) int {
	n := min(uint64(len(p)), g.left)
	if g.left -= n; g.left == 0 {
		if g.state == stateData {
			g.state = stateDataEnd
		} else {
			g.state = stateRequest
		}
	}
	return int(n) //nolint:gosec // at most len(p)
}

// read passes bytes up to the end of a line, and acts on a whole line.
func (g *Guard) read(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		g.keep(p)
		return len(p)
	}
	g.keep(p[:end+1])
	line, isLine := bytes.CutSuffix(g.line, []byte("\r\n"))
	whole := g.length == len(g.line)
	next := stateRefused
	if isLine {
		next = g.next(line, whole)
	}
	empty := g.length == 1 // without its CR, the end of a head for net/http
	g.line, g.length = g.line[:0], 0
	if next == stateRefused {
		g.inHead = g.state == stateRequest || g.state == stateHeader
	}
	g.state = next
	if next == stateRefused && empty {
		return 0
	}
	return end + 1
}

// keep keeps the beginning of a line, and its end: the version of a request is there.
func (g *Guard) keep(p []byte) {
	g.length += len(p)
	g.line = append(g.line, p...)
	if excess := len(g.line) - maxLine; excess > 0 {
		const end = versionLen + len("\r\n")
		g.line = append(g.line[:maxLine-end], g.line[len(g.line)-end:]...)
	}
}

// next acts on a line without its end and returns the state behind it. whole reports that nothing in the middle of the
// line is missing.
func (g *Guard) next(line []byte, whole bool) state {
	switch g.state {
	case stateRequest:
		if len(line) == 0 {
			return stateRequest
		}
		*g = Guard{line: g.line, version: string(line[max(0, len(line)-versionLen):])}
		return stateHeader
	case stateHeader:
		if len(line) == 0 {
			return g.endHead()
		}
		return g.header(line, whole)
	case stateChunk:
		return g.chunk(line, whole)
	case stateDataEnd:
		if len(line) == 0 && whole {
			return stateChunk
		}
	case stateTrailer:
		if len(line) == 0 {
			return stateRequest
		}
		return stateTrailer
	}
	return stateRefused
}

// header acts on the line of a header.
func (g *Guard) header(line []byte, whole bool) state {
	if line[0] == ' ' || line[0] == '\t' {
		return stateRefused // it continues the line before
	}
	name, value, _ := strings.Cut(string(line), ":")
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "content-length":
		size, err := strconv.ParseUint(value, 10, 63)
		if g.framed || !whole || err != nil || strings.HasPrefix(value, "+") {
			return stateRefused
		}
		g.framed, g.size = true, size
	case "transfer-encoding":
		if g.framed && !g.chunked || !whole || g.version != "HTTP/1.1" {
			return stateRefused
		}
		g.framed, g.chunked = true, true // net/http refuses all values but one "chunked"
	}
	return stateHeader
}

// endHead returns the state behind a head.
func (g *Guard) endHead() state {
	switch {
	case g.chunked:
		return stateChunk
	case g.size > 0:
		g.left = g.size
		return stateBody
	default:
		return stateRequest
	}
}

// chunk acts on the line with the size of a chunk.
func (g *Guard) chunk(line []byte, whole bool) state {
	text, _, _ := strings.Cut(string(line), ";")
	size, err := strconv.ParseUint(strings.TrimRight(text, " \t"), 16, 63)
	switch {
	case err != nil || !whole && len(text) == len(line) || bytes.IndexByte(line, '\r') >= 0:
		return stateRefused
	case size == 0:
		return stateTrailer
	default:
		g.left = size
		return stateData
	}
}
