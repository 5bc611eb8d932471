// Package rtetest is what tests of several packages need: signed tokens, right and wrong, a Redis of their own, the
// built program in a process of its own, and a load balancer in front of several. Its MustX functions fail the test that
// they are given.
package rtetest
