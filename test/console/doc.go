// Package console judges the console of the operator port from outside: in a browser, with two nodes and Redis. It
// also compares the checked-in files of the console with their sources.
package console
