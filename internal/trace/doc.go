// Package trace remembers what a node did with the latest events, for operators who ask why a client did not receive
// one. It keeps a record for each event, and one for each delivery that was not a plain "sent". It keeps no payload:
// only ids, types, reasons and times. The memory is bounded and allocated once; new records replace the oldest.
//
// The goroutines that write records never wait: a ring that another goroutine uses at that moment is skipped, and if
// all are in use the record is dropped and counted. Writing a record allocates nothing.
package trace
