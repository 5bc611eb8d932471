// Package history decides whether the events that clients received agree with what the server promises. It knows
// nothing of the server: a History has what publishers and clients recorded, and Check compares both.
//
// The promise is: an event that a publisher got an acknowledgement for reaches each client that had an answer to its
// Subscribe before, once, and in the order of its entity; or it lies in an interval about which that client was
// notified. Nothing else reaches a client.
//
// A client is notified by a Resync, which names topics and an interval, and by the end of its connection: it has to
// fetch everything again after the next one.
package history
