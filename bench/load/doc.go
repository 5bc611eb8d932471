// Package load is the client side of the bench: up to 50,000 WebSocket connections in one thread.
//
// One goroutine owns all sockets through epoll, so nothing here needs a lock; what others may read are atomic
// counters. A delivery costs one search for its mark: frames are cut by their length, nothing is parsed. Every
// delivery is counted, checked for order and repeats, and timed.
//
// Linux only.
package load
