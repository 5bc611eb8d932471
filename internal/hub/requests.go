package hub

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
)

// readRequests reads the argument of Subscribe and Unsubscribe: a JSON array of objects, as encoding/json would read it into
// requests. It is read here and not by the library, which would go over an argument seven times. not ok: the text is something
// else.
func readRequests(text []byte) (requests []authz.Request, ok bool) {
	// The values are parts of one string. It lives as long as the call, and is bounded as the argument is.
	p := plainRequests{text: string(text)}
	if p.read() {
		return p.requests, true
	}
	return readAnyRequests(text)
}

func readAnyRequests(text []byte) (requests []authz.Request, ok bool) {
	if !isList(text) {
		return nil, false
	}
	err := json.Unmarshal(text, &requests)
	return requests, err == nil
}

// isList says whether text is a JSON array that does not nest deeper than a message may.
func isList(text []byte) bool {
	start := bytes.TrimLeft(text, " \t\r\n")
	return bytes.HasPrefix(start, []byte("[")) && !tooDeep(text) && json.Valid(text)
}

// plainRequests reads, in one pass, what clients send in practice: objects of the two properties whose values are
// strings of printable ASCII without escapes.
type plainRequests struct {
	text     string
	pos      int
	requests []authz.Request
}

// read is false if there is anything else in the text, right or wrong.
func (p *plainRequests) read() bool {
	if !p.take('[') {
		return false
	}
	if p.take(']') {
		p.requests = []authz.Request{}
		return p.atEnd()
	}
	p.requests = make([]authz.Request, 0, strings.Count(p.text, "{"))
	for {
		var r authz.Request
		if !p.request(&r) {
			return false
		}
		p.requests = append(p.requests, r)
		if !p.take(',') {
			return p.take(']') && p.atEnd()
		}
	}
}

func (p *plainRequests) request(r *authz.Request) bool {
	if !p.take('{') {
		return false
	}
	for {
		name, ok := p.quoted()
		if !ok || !p.take(':') {
			return false
		}
		value, ok := p.quoted()
		switch {
		case !ok:
			return false
		case strings.EqualFold(name, "EntityId"):
			r.EntityID = value
		case strings.EqualFold(name, "EventName"):
			r.EventName = value
		}
		if !p.take(',') {
			return p.take('}')
		}
	}
}

// quoted takes a string.
func (p *plainRequests) quoted() (value string, ok bool) {
	if !p.take('"') {
		return "", false
	}
	start := p.pos
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return p.text[start : p.pos-1], true
		case c == '\\', c < ' ', c > '~':
			return "", false
		}
	}
	return "", false
}

// take takes c, if it comes next behind white space.
func (p *plainRequests) take(c byte) bool {
	p.space()
	if p.pos == len(p.text) || p.text[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

func (p *plainRequests) atEnd() bool {
	p.space()
	return p.pos == len(p.text)
}

func (p *plainRequests) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}
