// Package admission decides when clients may come in: at a configured rate, and while the node has room. Requests wait
// in a bounded queue, which is fair among organizations. It opens no socket and starts no goroutine that outlives a
// call.
package admission
