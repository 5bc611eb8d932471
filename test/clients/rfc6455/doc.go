// Package rfc6455 checks a running node against RFC 6455 in two ways.
//
// cases_test.go has the cases of the Autobahn test suite, with its numbers, in our own words: raw frames to the program
// and the expected frames. Where the suite expects an echo, it sends a hub message whose answer repeats its text.
//
// autobahn_test.go runs the Autobahn test suite itself. The suite needs Python 2.7, which few systems still have, so it
// runs only with "make autobahn".
package rfc6455
