// Package jsonscan reads JSON text (RFC 8259) in place, without building values. It exists for text that is read for
// every event, call or token, where encoding/json would allocate; everywhere else use encoding/json.
//
// # One contract
//
//   - Text is a []byte, and functions do not copy it: a value is a part of the text, without the white space around
//     it. It is valid as long as the text is. Do not change it.
//   - Functions that work by index take the index of the first byte of a value and return the index after it.
//   - A function either checks or skims. The functions that check accept exactly the texts that encoding/json.Valid
//     accepts, up to the number of levels that the caller allows. The functions with Skim in their names find the end
//     of a value and check only as much as they need for that. They never panic and never read past the text. Use them
//     only for text that is checked elsewhere.
//   - The parameter levels bounds the nesting of objects and arrays, including the outermost one.
//   - Functions do not check UTF-8, like encoding/json: check the whole text with utf8.Valid where it matters. Unquote
//     replaces invalid UTF-8 with U+FFFD, like encoding/json.
//   - Functions visit all members in their order, also several members with one name. The caller decides what a second
//     one means.
//
// # Which function to use
//
//   - Read an object or an array whose text is complete: Members, Elements. Call them again with a nested value.
//   - Check a text: Valid. Find the end of one value in a longer text: ValueEnd.
//   - Read the text of a string: Unquote. It returns false for other values, also for null.
//   - Compare a few members of text that is checked later: SkimMembers, SkimElements, SkimValue.
//   - Write a reader for one known form, for instance to keep all strings in one allocation: SkipSpace, PlainEnd,
//     StringEnd, ScalarEnd, DigitsEnd and AppendUnescaped. StringEnd and ScalarEnd return -1 for malformed text.
//   - Cut an array that arrives in pieces into its elements: ElementFinder.
//
// All functions may be called from any goroutine. The package imports no other package of this module.
package jsonscan
