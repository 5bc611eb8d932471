// Package relay passes requests of clients on to the node that has their connection, its owner. Load balancers then
// need no sticky sessions for stateful reconnect and for transports of several requests.
//
// A Relay has two sides. Find, Upgrade and Forward are for the node that got a request. A Server answers the other
// nodes on a port of its own.
//
// Invariants:
//
//   - All connections between nodes are TLS 1.3. Both ends prove that they know the secret of the nodes: their keys are
//     derived from it. Nothing is read from an end that has not.
//   - A request is passed on once: Passed reports whether another node has done it.
//   - The owner checks a passed request like any other: its token, limits and quotas.
//   - Whatever waits has a bound: handshakes, connections, requests for the owner, buffers, and the time of each.
package relay
