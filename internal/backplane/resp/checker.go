package resp

import (
	"errors"
	"fmt"
)

// ErrTooLarge is wrapped by the error of a Checker about a reply that exceeds a limit.
var ErrTooLarge = errors.New("reply too large")

// Limits bound a reply of a server. All of them are required.
type Limits struct {
	// Elements bounds the elements that all arrays of a reply announce together.
	Elements int
	// Bulk bounds a bulk string, in bytes.
	Bulk int
	// Total bounds the bytes of a whole reply.
	Total int
}

// maxDepth bounds the arrays within arrays. Replies to our commands have 5 levels at most.
const maxDepth = 16

// Checker checks the replies that a server sends, as they arrive (RESP2 and RESP3), before a client library allocates
// what they announce: a reply that announces 10^9 elements would take 16 GB. It keeps no bytes of them. A Checker
// belongs to one goroutine. Make it with NewChecker.
type Checker struct {
	limits Limits

	pending  [maxDepth]int // elements that are to come, of each open array
	depth    int
	elements int // announced by the present reply
	total    int // bytes of the present reply

	kind   byte // of the present element; 0: its line has not begun
	number int  // the number in its line
	minus  bool // the number is negative
	line   int  // bytes of its line
	skip   int  // bytes of a bulk string, with its end, that are to come
}

// NewChecker makes a Checker.
func NewChecker(limits Limits) *Checker { return &Checker{limits: limits} }

// Check takes the next bytes of the server. Its error wraps ErrTooLarge or ErrProtocol; the connection is then
// unusable.
func (c *Checker) Check(data []byte) error {
	for len(data) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(data))
			c.skip -= n
			data = data[n:]
			if c.skip == 0 {
				c.element()
			}
			continue
		}
		b := data[0]
		data = data[1:]
		if err := c.byte(b); err != nil {
			return err
		}
	}
	return nil
}

// byte takes a byte of a line.
func (c *Checker) byte(b byte) error {
	c.line++
	switch {
	case c.line > maxLine:
		return fmt.Errorf("%w: a line has more than %d bytes", ErrTooLarge, maxLine)
	case c.kind == 0:
		c.kind = b
	case b == '\n':
		return c.endLine()
	case !c.counts() || b == '\r':
	case b == '-' && c.line == 2:
		c.minus = true
	case b < '0' || b > '9':
		return fmt.Errorf("%w: a length is not a number", ErrProtocol)
	default:
		if c.number = 10*c.number + int(b-'0'); c.number > 1<<40 {
			return fmt.Errorf("%w: a length has too many digits", ErrTooLarge)
		}
	}
	return nil
}

// counts reports whether the line of the present element has a length.
func (c *Checker) counts() bool {
	switch c.kind {
	case '$', '=', '!', '*', '~', '>', '%', '|':
		return true
	}
	return false
}

// endLine ends the line of an element.
func (c *Checker) endLine() error {
	kind, n := c.kind, c.number
	if c.minus {
		n = 0
	}
	if c.total += c.line; c.total > c.limits.Total {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.limits.Total)
	}
	null := c.minus
	c.kind, c.number, c.minus, c.line = 0, 0, false, 0
	switch kind {
	case '$', '=', '!':
		if null {
			break
		}
		if c.total += n; n > c.limits.Bulk || c.total > c.limits.Total {
			return fmt.Errorf("%w: a string of %d bytes, in a reply of %d bytes so far", ErrTooLarge, n, c.total)
		}
		c.skip = n + 2
		return nil
	case '*', '~', '>', '%', '|':
		if kind == '%' || kind == '|' {
			n *= 2
		}
		if kind == '|' {
			n++ // the reply that the attributes belong to follows
		}
		if n == 0 {
			break
		}
		return c.open(n)
	}
	c.element()
	return nil
}

// open begins an array of n elements.
func (c *Checker) open(n int) error {
	if c.elements += n; c.elements > c.limits.Elements {
		return fmt.Errorf("%w: %d elements", ErrTooLarge, c.elements)
	}
	if c.depth == maxDepth {
		return fmt.Errorf("%w: more than %d arrays within arrays", ErrTooLarge, maxDepth)
	}
	c.pending[c.depth] = n
	c.depth++
	return nil
}

// element ends an element, and the arrays whose last element it is.
func (c *Checker) element() {
	for c.depth > 0 {
		c.pending[c.depth-1]--
		if c.pending[c.depth-1] > 0 {
			return
		}
		c.depth--
	}
	c.elements, c.total = 0, 0
}
