// Package sequence orders the messages of a lane. It decides whether a message is the next one, a duplicate, or proof
// that others are missing. While later ones are held back, missing messages are read from the lane's journal or, for
// events of publishers without a journal, requested from other nodes. An audit now and then compares the plain events
// that arrived with the journal.
//
// The package does no I/O, starts no goroutine and reads no clock. A Lane belongs to one goroutine at a time; the
// caller passes the time and makes the reads that the lane wants.
//
// A journaled event has two coordinates. N counts without gaps and proves that nothing is missing. The id is the time
// of the server; it keeps growing over a failover that makes N go back, and so still distinguishes old from new.
//
// Words: a plain event has no position. A repair lasts from the moment when messages may be missing to the delivery of
// the last of them. An era begins with a proof that everything published before a time of the server has arrived.
package sequence
