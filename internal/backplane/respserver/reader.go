package respserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// maxArguments is how many arguments a command may have.
	maxArguments = 64
	// maxLine bounds a line: a length, or a command as a person types it.
	maxLine = 64 << 10
)

// errProtocol is wrapped by errors about what a client sent. It is told, and its connection ends.
var errProtocol = errors.New("protocol error")

// reader reads commands, in the form of clients (an array of bulk strings) or in that of people (a line).
type reader struct {
	in  *bufio.Reader
	max int // bytes of an argument
}

func newReader(in io.Reader, largest int) *reader {
	return &reader{in: bufio.NewReaderSize(in, maxLine), max: largest}
}

// next reads a command; it has at least one argument.
func (r *reader) next() ([][]byte, error) {
	for {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		if line[0] != '*' {
			return words(line)
		}
		count, err := strconv.Atoi(string(line[1:]))
		if err != nil || count > maxArguments {
			return nil, fmt.Errorf("%w: want an array of at most %d arguments", errProtocol, maxArguments)
		}
		if count > 0 {
			return r.array(count)
		}
	}
}

// array reads so many bulk strings. Together they may be as long as one, and a line.
func (r *reader) array(count int) ([][]byte, error) {
	arguments := make([][]byte, count)
	left := r.max + maxLine
	for i := range arguments {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		size := -1
		if len(line) > 0 && line[0] == '$' {
			if size, err = strconv.Atoi(string(line[1:])); err != nil {
				size = -1
			}
		}
		if size < 0 || size > r.max {
			return nil, fmt.Errorf("%w: want a bulk string of at most %d bytes", errProtocol, r.max)
		}
		if left -= size; left < 0 {
			return nil, fmt.Errorf("%w: a command has more than %d bytes", errProtocol, r.max+maxLine)
		}
		argument := make([]byte, size+2)
		if _, err := io.ReadFull(r.in, argument); err != nil {
			return nil, err
		}
		if !bytes.HasSuffix(argument, []byte("\r\n")) {
			return nil, fmt.Errorf("%w: a bulk string is longer than it says", errProtocol)
		}
		arguments[i] = argument[:size]
	}
	return arguments, nil
}

// line reads a line, which is good until the next.
func (r *reader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line has more than %d bytes", errProtocol, maxLine)
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// words cuts a line at white space, but not within single quotes.
func words(line []byte) (all [][]byte, err error) {
	for line = bytes.TrimSpace(line); len(line) > 0; line = bytes.TrimSpace(line) {
		end := bytes.IndexAny(line, " \t")
		if line[0] == '\'' {
			line = line[1:]
			if end = bytes.IndexByte(line, '\''); end < 0 {
				return nil, fmt.Errorf("%w: a quote is not closed", errProtocol)
			}
		}
		if end < 0 {
			end = len(line)
		}
		if len(all) == maxArguments {
			return nil, fmt.Errorf("%w: want at most %d arguments", errProtocol, maxArguments)
		}
		all = append(all, bytes.Clone(line[:end]))
		line = line[min(end+1, len(line)):]
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: a line of nothing", errProtocol)
	}
	return all, nil
}
