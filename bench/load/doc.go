// Package load is the client side of the bench: up to 50,000 WebSocket connections in one thread.
//
// One goroutine owns all sockets through epoll, so the package needs no locks; other goroutines read atomic counters.
// A delivery costs one search for its mark: frames are cut by their length, and nothing is parsed. Each delivery is
// counted, timed, and checked for order and repetition.
//
// Linux only.
package load
