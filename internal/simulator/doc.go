// Package simulator is a model of a call centre that makes the events of its day. It is a discrete-event simulation: a
// queue of appointments in simulated time, one source of random numbers, no goroutine and no clock. Equal options give
// equal bytes. A Scenario describes the day. Snapshot returns the state that the events so far describe.
package simulator
