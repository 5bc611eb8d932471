// Package publishers runs the examples of docs/redis.md for publishers, with the Redis users of that page, against a
// real Redis and a node.
package publishers
