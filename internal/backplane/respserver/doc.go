// Package respserver is a server that implements as much of the Redis protocol (RESP2 and RESP3) as the publishers of
// docs/redis.md need. They work without Redis: their events go straight to a backplane. It is for development.
//
// The server keeps nothing. It bounds what a client can make it hold: the connections, and the size of a command.
package respserver
