// Package jsonscan reads JSON text (RFC 8259) in place, without building values. It exists for text that is read for
// every event, call or token, where encoding/json would allocate; everywhere else use encoding/json.
//
// # One contract
//
//   - Text is a []byte, and nothing is copied: a value is a part of the text, without the white space around it. It is
//     valid as long as the text is, and must not be changed.
//   - Every function that walks takes the index of the first byte of what it reads and returns the index behind it.
//   - A function either checks or skims. The functions that check accept exactly what encoding/json.Valid accepts, up
//     to the number of levels that the caller allows. The functions with Skim in their names look for the end of a
//     value and check no more than that takes; they never panic and never read past the text, whatever it contains.
//     Use them only for text that is checked elsewhere.
//   - Nesting is bounded by levels: how many objects and arrays may be around each other, the outermost one included.
//   - UTF-8 is not checked, as in encoding/json: check the whole text with utf8.Valid where it matters. Unquote
//     replaces what is not UTF-8 with U+FFFD, as encoding/json does.
//   - Members of one name are all visited, in their order. The caller decides what a second one means.
//
// # Which function to use
//
//   - Read an object or an array whose text is complete: Members, Elements. Nested values are read by calling them
//     again with the value.
//   - Check a text: Valid. Find the end of one value in a longer text: ValueEnd.
//   - Read the text of a string: Unquote. It returns false for other values, null included.
//   - Compare a few members of text that is checked later: SkimMembers, SkimElements, SkimValue.
//   - Write a reader for one known form, for instance to keep all strings in one allocation: SkipSpace, PlainEnd,
//     StringEnd, ScalarEnd, DigitsEnd and AppendUnescaped, which return -1 for text that is malformed.
//   - Cut an array that arrives in pieces into its elements: ElementFinder.
//
// All functions may be called from any goroutine. The package imports no other package of this module.
package jsonscan
