// Package fanout delivers each event to many outboxes and writes the outboxes to their sockets.
//
// The Dispatcher owns the registry of subscriptions and the shards. A connection's Outbox belongs to one shard for
// life, and one goroutine per shard owns the shard's outboxes and subscribers. Nothing on the way from Dispatch to the
// socket takes a lock, and no step allocates per subscriber.
//
// A shard takes all commands from its inbox, appends frames to outboxes, and then writes each outbox it touched once,
// without blocking. An idle shard therefore writes at once, and a busy one writes several frames with one system call.
// A socket that is full gets a goroutine for as long as it is full, so it delays no other socket. The events of each
// organization wait in a turn queue of their own; turn queues are served round robin.
//
// Flow control belongs to this package: the backlog that slows publishers down, the quota of an organization, and the
// bounds of an outbox.
package fanout
