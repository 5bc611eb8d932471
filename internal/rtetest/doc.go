// Package rtetest helps tests of several packages: it signs right and wrong tokens, and starts Redis, the built program
// and load balancers for a test. The functions named MustX fail the test on an error.
package rtetest
