package jsonscan

// ElementFinder finds where the elements of an array end, in text that arrives in pieces. It counts brackets and skims
// strings and checks nothing else: read the elements with a function that checks. The zero value is ready, behind the
// opening bracket of the array. It is for one goroutine.
type ElementFinder struct {
	depth           int
	quoted, escaped bool // in a string; behind a backslash
}

// Find returns the index of the comma or closing bracket behind the current element, or -1 if text has neither. Call it
// with each piece of the text once. After an index that is not -1, call it again with the text behind that index.
func (f *ElementFinder) Find(text []byte) int {
	for i, c := range text {
		switch {
		case f.escaped:
			f.escaped = false
		case f.quoted:
			f.escaped, f.quoted = c == '\\', c != '"'
		case c == '"':
			f.quoted = true
		case c == '{' || c == '[':
			f.depth++
		case f.depth == 0 && (c == ',' || c == ']'):
			return i
		case c == '}' || c == ']':
			f.depth--
		}
	}
	return -1
}
