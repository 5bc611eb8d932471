// Package loadgen puts load on a running server and checks the deliveries. It connects clients, subscribes each of them
// to events of some users, publishes over HTTP, and counts deliveries, latencies, and events that were lost, duplicated
// or out of order. It knows the server only by its protocols.
package loadgen
