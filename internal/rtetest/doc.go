// Package rtetest is what tests of several packages need: signed tokens, right and wrong, and a Redis of their own. Its
// MustX functions fail the test that they are given.
package rtetest
