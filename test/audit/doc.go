// Package audit records what publishers and clients of a whole deployment notice while things go wrong, and lets the
// package history decide whether the server kept its promise. It contains only tests.
package audit
