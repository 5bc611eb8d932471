package transport

import (
	"bytes"
	"strings"
)

// head is the head of a request for a WebSocket as parseHead understands it.
type head struct {
	path          string
	rawQuery      string
	authorization []string // nil or one value
	accept        string   // the answer to the client's key
}

// endOfHead is the empty line behind the last header.
const endOfHead = "\r\n\r\n"

// parseHead reads the head of a request for a WebSocket (RFC 6455 section 4.2.1), of which rest is what follows. It
// understands the plainest spelling only and leaves all others to net/http, as it does with all that is to be refused:
// whatever it accepts, net/http would have read in the same way. The head keeps nothing of p.
//
// A head is printable ASCII in lines that end with CR LF. Headers that count come once, and none that tells of a body.
func parseHead(p []byte) (h head, rest []byte, ok bool) {
	whole, rest, ok := bytes.Cut(p, []byte(endOfHead))
	if !ok {
		return head{}, nil, false
	}
	line, lines, _ := strings.Cut(string(whole), "\r\n")
	if h.path, h.rawQuery, ok = parseRequestLine(line); !ok {
		return head{}, nil, false
	}
	seen := headersSeen{}
	for len(lines) > 0 {
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, isHeader := parseHeader(line)
		if !isHeader || !seen.note(&h, name, value) {
			return head{}, nil, false
		}
	}
	return h, rest, seen.all()
}

// parseRequestLine reads "GET path?query HTTP/1.1". A path with percent signs could be another than it seems.
func parseRequestLine(line string) (path, rawQuery string, ok bool) {
	target, isGet := strings.CutPrefix(line, "GET ")
	target, is11 := strings.CutSuffix(target, " HTTP/1.1")
	if !isGet || !is11 || !strings.HasPrefix(target, "/") || !printable(target) || strings.Contains(target, " ") {
		return "", "", false
	}
	path, rawQuery, _ = strings.Cut(target, "?")
	return path, rawQuery, !strings.Contains(path, "%")
}

// parseHeader reads "Name: value" (RFC 9112 section 5).
func parseHeader(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	if !ok || name == "" || !printable(value) {
		return "", "", false
	}
	for i := range len(name) {
		if !isTokenByte(name[i]) {
			return "", "", false
		}
	}
	return name, strings.Trim(value, " "), true
}

// headersSeen are the headers that may come once only.
type headersSeen struct {
	host, connection, upgrade, version, key, authorization bool
}

// note takes a header into a head. False: it is one with which the request is left to net/http. Headers that do not
// count for an upgrade may be anything.
func (s *headersSeen) note(h *head, name, value string) bool {
	switch strings.ToLower(name) {
	case "host":
		return once(&s.host) && isHost(value)
	case "connection":
		return once(&s.connection) && hasToken([]string{value}, "upgrade")
	case "upgrade":
		return once(&s.upgrade) && strings.EqualFold(value, "websocket")
	case "sec-websocket-version":
		return once(&s.version) && value == webSocketVersion
	case "sec-websocket-key":
		accept, ok := acceptKey([]string{value})
		h.accept = accept
		return once(&s.key) && ok
	case "authorization":
		h.authorization = []string{value}
		return once(&s.authorization)
	case "content-length", "transfer-encoding", "trailer", "expect":
		return false
	default:
		return true
	}
}

// all says whether every header was seen that an upgrade needs.
func (s *headersSeen) all() bool { return s.host && s.connection && s.upgrade && s.version && s.key }

// once notes that something is there. False: it was there before.
func once(seen *bool) bool {
	before := *seen
	*seen = true
	return !before
}

// isHost says whether a Host is spelled with the bytes of names, addresses and ports.
func isHost(value string) bool {
	for i := range len(value) {
		if b := value[i]; !isAlphanumeric(b) && !strings.ContainsRune(".-_:[]", rune(b)) {
			return false
		}
	}
	return value != ""
}

// isTokenByte says whether a header's name may have a byte (RFC 9110 section 5.6.2).
func isTokenByte(b byte) bool {
	return isAlphanumeric(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// printable says whether a text is spaces and visible ASCII alone.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
