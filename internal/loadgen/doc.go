// Package loadgen puts load on a running server and checks what arrives: it connects clients, subscribes each of them to the
// calls of some users, publishes events by HTTP and counts deliveries, latencies and what was lost, came twice or came out
// of order. It knows the server only by its protocols.

package loadgen
