// Package fanout brings one event to many outboxes and writes out what it touched.
//
// A connection belongs to one Shard; one goroutine per shard owns its topics and outboxes, so nothing on the way
// from Dispatch to the socket takes a lock. The shard empties its inbox, appends frames to outboxes and then
// writes every touched outbox once: an idle server answers at once, a busy one writes several messages with one
// system call.
package fanout
