// Package rfc6455 checks a running node against RFC 6455, in two ways.
//
// cases_test.go has the cases of the Autobahn test suite, under its numbers, in our own words: raw frames to the
// program, and the frames that have to come back. Where that suite wants an echo, a hub message is sent whose answer
// repeats a text of it.
//
// autobahn_test.go lets the Autobahn test suite itself judge the program, where it can be installed: it needs Python 2.7,
// which few systems still have, so it runs only when asked for ("make autobahn").
package rfc6455
