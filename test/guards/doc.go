// Package guards shows that the tests would notice a missing guard. A guard is a check that refuses, repairs or reports
// something. The package has lists of changes of the sources: each removes one guard, or plants one bug on the way
// of an event. No build of the program has a switch for them: a change exists only in an overlay of the Go command.
//
// Every `make test` checks that each change still fits its source and compiles. `make guards` runs the tests of the
// named packages with each change in turn, demands that a test fails, and writes docs/guards.md.
package guards
