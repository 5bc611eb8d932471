// Package redis is the backplane of many nodes: pub/sub channels of a Redis, one per lane.
//
// go-redis dials, authenticates and runs ordinary commands. The connection that is subscribed is read and written
// here, because a subscriber must know what a client library hides: when its connection was replaced, and what was
// lost meanwhile. Such a connection is called an epoch. It is built once, it is never repaired, and any doubt ends
// it: an error, a silence, an answer that was not expected, or a canary, published as every event is, that does not
// come back. The next epoch subscribes the same lanes in batches.
package redis
