package jsonscan

import "bytes"

// SkimValue returns the index behind the value that begins at i. It checks numbers and literals, and of strings,
// objects and arrays no more than it takes to find their ends. The error is ErrSyntax or ErrTooDeep, and the index is
// then -1.
func SkimValue(b []byte, i, levels int) (end int, err error) {
	if i >= len(b) {
		return -1, ErrSyntax
	}
	switch b[i] {
	case '"':
		end = skimString(b, i)
	case '{', '[':
		return skimNested(b, i, levels)
	default:
		end = ScalarEnd(b, i)
	}
	if end < 0 {
		return -1, ErrSyntax
	}
	return end, nil
}

// skimString returns the index behind the string whose opening quote is at i.
func skimString(b []byte, i int) int {
	i++
	length := bytes.IndexByte(b[i:], '"')
	if length < 0 {
		return -1
	}
	if b[i+length-1] != '\\' { // there is at least the opening quote
		return i + length + 1
	}
	for i = PlainEnd(b, i); i < len(b); i = PlainEnd(b, i) {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			return -1
		}
	}
	return -1
}

// skimNested returns the index behind the object or array that begins at i.
func skimNested(b []byte, i, levels int) (end int, err error) {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skimString(b, i); i < 0 {
				return -1, ErrSyntax
			}
			continue
		case '{', '[':
			if depth++; depth > levels {
				return -1, ErrTooDeep
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return -1, ErrSyntax
}

// SkimMembers calls visit with the unescaped name and the value of each member of the object that text begins with,
// until visit returns false or the object turns out to be malformed. It does not report which of them ended the walk.
func SkimMembers(text []byte, levels int, visit func(name, value []byte) bool) {
	i := SkipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return
	}
	for i = SkipSpace(text, i+1); i < len(text) && text[i] == '"'; i = SkipSpace(text, i+1) {
		end, escaped := StringEnd(text, i)
		if end < 0 {
			return
		}
		name := unescaped(text[i+1:end-1], escaped)
		if i = SkipSpace(text, end); i == len(text) || text[i] != ':' {
			return
		}
		start := SkipSpace(text, i+1)
		var err error
		if i, err = SkimValue(text, start, levels-1); err != nil || !visit(name, text[start:i]) {
			return
		}
		if i = SkipSpace(text, i); i == len(text) || text[i] != ',' {
			return
		}
	}
}

// SkimElements is SkimMembers for the elements of an array.
func SkimElements(text []byte, levels int, visit func(value []byte) bool) {
	i := SkipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return
	}
	i = SkipSpace(text, i+1)
	for i < len(text) && text[i] != ']' {
		end, err := SkimValue(text, i, levels-1)
		if err != nil || !visit(text[i:end]) {
			return
		}
		if i = SkipSpace(text, end); i < len(text) && text[i] == ',' {
			i = SkipSpace(text, i+1)
		}
	}
}
