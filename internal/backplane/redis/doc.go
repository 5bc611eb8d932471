// Package redis is the backplane of many nodes: it subscribes the pub/sub channels of a Redis, one per lane.
//
// go-redis dials, authenticates and runs ordinary commands. This package itself reads and writes the subscribed
// connection, because a subscriber must know what a client library hides: when its connection was replaced, and what
// was lost meanwhile. The life of such a connection is an epoch. An epoch is started once and never repaired. Any
// doubt ends it: an error, a read timeout, an unexpected reply, or a canary that does not come back. A canary is
// published like an event. The next epoch subscribes the same lanes in batches.
//
// A node has several such connections to each server, over which it spreads the organizations, so that one that
// exceeds the output buffers of Redis costs only few others their connection (group).
package redis
