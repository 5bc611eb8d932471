package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxArguments is how many arguments a command may have.
const maxArguments = 64

// CommandReader reads commands, in the form of clients (an array of bulk strings) or in that of people (a line). It
// belongs to one goroutine.
type CommandReader struct {
	in  *bufio.Reader
	max int // bytes of an argument
}

// NewCommandReader makes a CommandReader that accepts arguments of at most largest bytes.
func NewCommandReader(in io.Reader, largest int) *CommandReader {
	return &CommandReader{in: bufio.NewReaderSize(in, maxLine), max: largest}
}

// Buffered reports whether more bytes of the client are at hand.
func (r *CommandReader) Buffered() bool { return r.in.Buffered() > 0 }

// Next reads a command with its name and arguments. Its error is that of the source, or wraps ErrProtocol.
func (r *CommandReader) Next() ([][]byte, error) {
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
			return nil, fmt.Errorf("%w: want an array of at most %d arguments", ErrProtocol, maxArguments)
		}
		if count > 0 {
			return r.array(count)
		}
	}
}

// array reads count bulk strings. Together they may have as many bytes as the largest argument, plus a line.
func (r *CommandReader) array(count int) ([][]byte, error) {
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
			return nil, fmt.Errorf("%w: want a bulk string of at most %d bytes", ErrProtocol, r.max)
		}
		if left -= size; left < 0 {
			return nil, fmt.Errorf("%w: a command has more than %d bytes", ErrProtocol, r.max+maxLine)
		}
		argument := make([]byte, size+2)
		if _, err := io.ReadFull(r.in, argument); err != nil {
			return nil, err
		}
		if !bytes.HasSuffix(argument, []byte("\r\n")) {
			return nil, fmt.Errorf("%w: a bulk string is longer than it says", ErrProtocol)
		}
		arguments[i] = argument[:size]
	}
	return arguments, nil
}

// line reads a line, which is valid until the next call.
func (r *CommandReader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line has more than %d bytes", ErrProtocol, maxLine)
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// words splits a line at white space outside of single quotes.
func words(line []byte) (all [][]byte, err error) {
	for line = bytes.TrimSpace(line); len(line) > 0; line = bytes.TrimSpace(line) {
		end := bytes.IndexAny(line, " \t")
		if line[0] == '\'' {
			line = line[1:]
			if end = bytes.IndexByte(line, '\''); end < 0 {
				return nil, fmt.Errorf("%w: a quote is not closed", ErrProtocol)
			}
		}
		if end < 0 {
			end = len(line)
		}
		if len(all) == maxArguments {
			return nil, fmt.Errorf("%w: want at most %d arguments", ErrProtocol, maxArguments)
		}
		all = append(all, bytes.Clone(line[:end]))
		line = line[min(end+1, len(line)):]
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: a line of nothing", ErrProtocol)
	}
	return all, nil
}
