// Package command sends the Redis commands that need no subscription: publishing events and its function library,
// directory documents, shared revocations, receipts, and control messages. Everything here could also be done by a
// back end with a Redis client; docs/redis.md and docs/authorization.md are the contracts.
//
// A Client finds the server of each key, in a cluster or among independent servers. It never repeats a command that
// Redis may have executed, unless the nodes recognize the repeated event by its Id. The package holds no state between
// calls.
package command
