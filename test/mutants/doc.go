// Package mutants measures how many small changes of the sources the tests notice. A mutant is the program with one
// such change: a statement is left out, a term of a condition is left out, a copy is not made. People choose the guards
// of test/guards; a rule makes the mutants, in all packages on the way of an event.
//
// One build has all mutants: each change is behind a call of package choice, and the environment chooses one for a
// process. So a mutant costs only the tests that reach it; a tool that builds each mutant would compile for days. The
// changed sources exist only in an overlay of the Go command.
//
// `make mutants` tries a sample and writes its table into docs/guards.md. It lists the mutants that no test noticed in
// build/mutants.tsv. Some of them change only speed or logs. Each other one is a hole in the tests.
package mutants
