package websocket

import (
	"compress/flate"
	"errors"
	"io"
	"strings"
	"sync"
)

// DeflateAnswer accepts an offer of permessage-deflate (RFC 7692). Neither side keeps a window between messages, so a
// connection needs no memory for one.
const DeflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// Compressed is added to an opcode. It marks a frame whose payload is compressed (RFC 7692 section 6).
const Compressed = 0x40

// OffersDeflate reports whether the values of Sec-WebSocket-Extensions offer permessage-deflate in a form that
// DeflateAnswer accepts. An offer with a smaller window of the server does not count.
func OffersDeflate(values []string) bool {
	for _, value := range values {
		for offer := range strings.SplitSeq(value, ",") {
			if acceptable(offer) {
				return true
			}
		}
	}
	return false
}

// acceptable reports whether DeflateAnswer accepts one offer (RFC 7692 section 7.1).
func acceptable(offer string) bool {
	name, rest, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return false
	}
	seen := map[string]bool{}
	for parameter := range strings.SplitSeq(rest, ";") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(parameter), "=")
		value = strings.Trim(value, `"`)
		switch {
		case name == "" && rest == "":
			return true
		case seen[name]:
			return false
		case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && !hasValue:
		case name == "client_max_window_bits" && (!hasValue || isWindow(value)):
		default:
			return false
		}
		seen[name] = true
	}
	return true
}

// isWindow reports whether a value is the size of a window.
func isWindow(value string) bool {
	switch value {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	default:
		return false
	}
}

var (
	// ErrInflated means that a message is longer than the limit once it is inflated.
	ErrInflated = errors.New("websocket: inflated message exceeds the limit")
	// ErrDeflate means that the payload of a compressed message cannot be inflated.
	ErrDeflate = errors.New("websocket: malformed compressed message")
)

// inflateEnd is the end of a message that senders leave out (RFC 7692 section 7.2.1), and an empty last block.
const inflateEnd = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// Inflaters inflate messages. Connections share them. The zero value is ready for use, by any goroutine.
type Inflaters struct{ pool sync.Pool }

// inflater is the memory of one inflation, some 45 KB.
type inflater struct {
	source inflateSource
	reader io.ReadCloser
}

// inflateSource reads a message and then inflateEnd. It is an io.ByteReader, so that flate needs no buffer of its own.
type inflateSource struct {
	message []byte
	end     string
}

func (s *inflateSource) Read(p []byte) (n int, err error) {
	if len(s.message) == 0 && len(s.end) == 0 {
		return 0, io.EOF
	}
	n = copy(p, s.message)
	s.message = s.message[n:]
	if n == 0 {
		n = copy(p, s.end)
		s.end = s.end[n:]
	}
	return n, nil
}

// isRead reports whether nothing follows the block that calls itself the last one, except the empty header that a
// sender appends to it (RFC 7692 section 7.2.3.4). Bytes behind it would be lost. No known sender has two such blocks.
func (s *inflateSource) isRead() bool {
	return len(s.message) == 0 || len(s.message) == 1 && s.message[0] == 0
}

func (s *inflateSource) ReadByte() (byte, error) {
	var one [1]byte
	_, err := s.Read(one[:])
	return one[0], err
}

// Inflate returns the inflated message, of at most limit bytes. The error is ErrInflated or ErrDeflate. It never
// inflates more than limit bytes.
func (i *Inflaters) Inflate(message []byte, limit int) ([]byte, error) {
	in, _ := i.pool.Get().(*inflater)
	if in == nil {
		in = &inflater{}
		in.reader = flate.NewReader(&in.source)
	}
	in.source = inflateSource{message, inflateEnd}
	defer func() {
		in.source = inflateSource{}
		i.pool.Put(in)
	}()
	if err := in.reader.(flate.Resetter).Reset(&in.source, nil); err != nil { //nolint:forcetypeassert // documented
		return nil, ErrDeflate
	}
	out := make([]byte, 0, min(limit+1, max(512, 4*len(message))))
	for {
		n, err := in.reader.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, ErrInflated
		case errors.Is(err, io.EOF) && in.source.isRead():
			return out, nil
		case err != nil:
			return nil, ErrDeflate
		}
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(limit+1, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
	}
}
