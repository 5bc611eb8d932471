// Package simtest holds a deterministic simulation of the server, in its tests. The parts are real: the backplane with
// its sequence of numbers, fan-out, hub, sessions, WebSockets and stateful reconnect. Redis, the network and the
// clients are models, and time is that of testing/synctest.
//
// A seed makes a schedule: a list of steps, such as publish, cut a connection, or let time pass. The driver takes one
// step, waits until every goroutine is blocked, and compares what the clients received with the guarantee. A step that
// does not apply does nothing, so that any part of a schedule is a schedule: when one fails, the test drops steps while
// it still fails, and prints the shortest.
//
// Replay a seed with
//
//	go test ./internal/simtest -run TestSimulation -simtest.seed=N
//
// A seed that found a bug of the product belongs in testdata/seeds.txt, with the bug.
package simtest
