package jsonscan

import "errors"

var (
	// ErrSyntax is returned for text that is not JSON, or not the kind of value that the function reads.
	ErrSyntax = errors.New("malformed JSON")
	// ErrTooDeep is returned for values that nest deeper than the caller allows.
	ErrTooDeep = errors.New("JSON nested too deep")
)

// Valid checks that text is one JSON value of at most the given levels, with nothing but white space around it.
func Valid(text []byte, levels int) error {
	end, err := ValueEnd(text, SkipSpace(text, 0), levels)
	if err != nil {
		return err
	}
	return onlySpace(text, end)
}

// Members checks the object that text contains and calls visit with the name and the value of each member while it
// goes. The name is unescaped: it is a part of the text if it has no escapes, and else allocated. An error of visit
// ends the walk and is returned. The other errors are ErrSyntax and ErrTooDeep; visit may have been called before.
func Members(text []byte, levels int, visit func(name, value []byte) error) error {
	i := SkipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return ErrSyntax
	}
	end, err := members(text, i, levels, visit)
	if err != nil {
		return err
	}
	return onlySpace(text, end)
}

// Elements checks the array that text contains and calls visit with each element while it goes. Errors are those of
// Members.
func Elements(text []byte, levels int, visit func(value []byte) error) error {
	i := SkipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return ErrSyntax
	}
	end, err := elements(text, i, levels, visit)
	if err != nil {
		return err
	}
	return onlySpace(text, end)
}

func onlySpace(text []byte, i int) error {
	if SkipSpace(text, i) != len(text) {
		return ErrSyntax
	}
	return nil
}

// ValueEnd checks the value that begins at i and returns the index behind it. The error is ErrSyntax or ErrTooDeep, and
// the index is then -1.
func ValueEnd(b []byte, i, levels int) (end int, err error) {
	if i >= len(b) {
		return -1, ErrSyntax
	}
	switch b[i] {
	case '{':
		return members(b, i, levels, nil)
	case '[':
		return elements(b, i, levels, nil)
	case '"':
		end, _ = StringEnd(b, i)
	default:
		end = ScalarEnd(b, i)
	}
	if end < 0 {
		return -1, ErrSyntax
	}
	return end, nil
}

// members checks the object whose opening brace is at i. visit may be nil.
func members(b []byte, i, levels int, visit func(name, value []byte) error) (end int, err error) {
	if levels < 1 {
		return -1, ErrTooDeep
	}
	if i = SkipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1, ErrSyntax
		}
		name := i
		nameEnd, escaped := StringEnd(b, i)
		if nameEnd < 0 {
			return -1, ErrSyntax
		}
		if i = SkipSpace(b, nameEnd); i == len(b) || b[i] != ':' {
			return -1, ErrSyntax
		}
		value := SkipSpace(b, i+1)
		if i, err = ValueEnd(b, value, levels-1); err != nil {
			return -1, err
		}
		if visit != nil {
			if err = visit(unescaped(b[name+1:nameEnd-1], escaped), b[value:i]); err != nil {
				return -1, err
			}
		}
		var more bool
		if i, more = separator(b, i, '}'); !more {
			return endOrError(i)
		}
	}
}

// elements checks the array whose opening bracket is at i. visit may be nil.
func elements(b []byte, i, levels int, visit func(value []byte) error) (end int, err error) {
	if levels < 1 {
		return -1, ErrTooDeep
	}
	if i = SkipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		value := i
		if i, err = ValueEnd(b, value, levels-1); err != nil {
			return -1, err
		}
		if visit != nil {
			if err = visit(b[value:i]); err != nil {
				return -1, err
			}
		}
		var more bool
		if i, more = separator(b, i, ']'); !more {
			return endOrError(i)
		}
	}
}

// separator reads what follows a member or an element: a comma, with more to come at next, or the closing bracket,
// which next is behind. next is -1 for anything else.
func separator(b []byte, i int, closing byte) (next int, more bool) {
	if i = SkipSpace(b, i); i == len(b) {
		return -1, false
	}
	switch b[i] {
	case ',':
		return SkipSpace(b, i+1), true
	case closing:
		return i + 1, false
	default:
		return -1, false
	}
}

func endOrError(i int) (end int, err error) {
	if i < 0 {
		return -1, ErrSyntax
	}
	return i, nil
}
