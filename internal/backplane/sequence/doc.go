// Package sequence decides what becomes of each message of a lane: whether it is the next one, was here before, or
// shows that others are missing, which are then read from the lane's journal while what arrives is held back.
//
// It is arithmetic: it does no I/O, starts no goroutine and reads no clock. A Lane belongs to one goroutine at a time.
//
// A journaled event has two coordinates. N counts without a hole and proves that nothing is missing. The id is the
// time of the server, and goes on growing over a failover that makes N go back, so that it still tells old from new.
package sequence
