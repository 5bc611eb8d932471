package ingest

import (
	"bytes"
	"errors"
	"io"

	"github.com/rte-server/rte-server/internal/jsonscan"
)

var (
	errTooLong = errors.New("too_large")
	errForm    = errors.New("the body is neither lines of JSON nor one array of objects")
)

// chunk is the size of one read, in bytes.
const chunk = 64 << 10

// splitter cuts a body into events without reading them: NDJSON at its line feeds, an array (RFC 8259 section 5) at the
// ends of its elements. It copies only the events that lie across two chunks.
type splitter struct {
	body  io.Reader
	limit int // of an event, in bytes
	line  int // number of the latest event's line, or of the element in the array; from 1

	buffer     []byte
	start, end int   // the part of buffer that was read and not returned yet
	scanned    int   // length of the prefix of that part without the end of an event
	err        error // of reading body

	begun, array, closed bool // closed: the array has ended
	skipping             bool // the event is too long; what was read of it is dropped

	elements jsonscan.ElementFinder // of an array: the part that was scanned
}

// newSplitter makes a splitter for events of at most limit bytes. Call reset before next.
func newSplitter(limit int) splitter {
	return splitter{limit: limit, buffer: make([]byte, chunk+limit)}
}

// reset starts on a body. first was read from it already, and err is the error of that read.
func (s *splitter) reset(body io.Reader, first []byte, err error) {
	*s = splitter{body: body, limit: s.limit, buffer: s.buffer, err: err}
	s.end = copy(s.buffer, first)
}

// next returns the next event, empty for a blank line. The event is valid until the next call of next for which
// buffered returned false. The error is errTooLong for a skipped event and io.EOF at the end; any other error is final,
// too.
func (s *splitter) next() ([]byte, error) {
	if !s.begun {
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	for !s.closed {
		if length, found := s.find(); found {
			return s.cut(length)
		}
		if s.end-s.start > s.limit {
			s.skipping = true
			s.start, s.scanned = s.end, 0
		}
		if err := s.fill(); err != nil {
			return s.rest(err)
		}
	}
	for s.space() {
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
	return nil, errForm
}

// buffered reports whether next can return without reading from the body.
func (s *splitter) buffered() bool {
	if s.closed {
		return false
	}
	_, found := s.find()
	return found
}

// begin finds the first character and decides whether the body is an array.
func (s *splitter) begin() error {
	for s.space() {
		if err := s.fill(); err != nil {
			return err
		}
	}
	s.begun = true
	if s.array = s.buffer[s.start] == '['; s.array {
		s.start++
		s.line = 0
	}
	return nil
}

// space skips white space and counts its line feeds. It reports whether nothing else was read so far.
func (s *splitter) space() bool {
	for ; s.start < s.end; s.start++ {
		switch s.buffer[s.start] {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return false
		}
	}
	return true
}

// find looks for the end of an event in the part that was read. It scans each byte once.
func (s *splitter) find() (length int, found bool) {
	unseen := s.buffer[s.start+s.scanned : s.end]
	at := 0
	if s.array {
		at = s.elements.Find(unseen)
	} else {
		at = bytes.IndexByte(unseen, '\n')
	}
	if at < 0 {
		s.scanned = s.end - s.start
		return 0, false
	}
	s.scanned += at
	return s.scanned, true
}

// cut removes an event and its end from the part that was read, and returns the event.
func (s *splitter) cut(length int) ([]byte, error) {
	event := bytes.TrimSpace(s.buffer[s.start : s.start+length])
	s.closed = s.array && s.buffer[s.start+length] == ']'
	s.start += length + 1
	s.scanned = 0
	tooLong := s.skipping || len(event) > s.limit
	s.skipping = false
	switch {
	case s.closed && len(event) == 0 && s.line == 0 && !tooLong:
		return nil, nil // an empty array
	case s.array && len(event) == 0 && !tooLong:
		return nil, errForm
	}
	s.line++
	if tooLong {
		return nil, errTooLong
	}
	return event, nil
}

// rest returns the last event of a body that has ended with err.
func (s *splitter) rest(err error) ([]byte, error) {
	event := bytes.TrimSpace(s.buffer[s.start:s.end])
	s.start, s.scanned = s.end, 0
	tooLong := s.skipping || len(event) > s.limit
	s.skipping = false
	switch {
	case !errors.Is(err, io.EOF):
		return nil, err
	case s.array:
		return nil, errForm
	case len(event) == 0 && !tooLong:
		return nil, io.EOF
	}
	s.line++
	if tooLong {
		return nil, errTooLong
	}
	return event, nil
}

// fill reads more of the body. It moves the part that was read to the front of the buffer.
func (s *splitter) fill() error {
	if s.err != nil {
		return s.err
	}
	if s.start > 0 {
		s.end = copy(s.buffer, s.buffer[s.start:s.end])
		s.start = 0
	}
	n, err := s.body.Read(s.buffer[s.end:])
	s.end += n
	s.err = err
	if n > 0 {
		return nil
	}
	return err
}
