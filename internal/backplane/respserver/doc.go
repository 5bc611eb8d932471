// Package respserver is a listener that speaks so much of Redis' protocol (RESP2 and RESP3) that the publishers of
// docs/redis.md work where there is no Redis: what they publish goes straight to a backplane. It is for development.
//
// It keeps nothing, and bounds what a client can make it hold: connections, and the size of a command.
package respserver
