// Package attacks attacks the built program and measures what its other clients notice: the latency of their events,
// events that are missing, connections that end, and the memory of the server. Every attack is bounded in count and
// time and uses only loopback addresses. It contains only tests.
//
// "make test" runs a short form. "make attacks" (RTE_ATTACKS=full) runs every attack in full and prints a table;
// RTE_ATTACKS_DOC names a page that gets the table between its markers.
package attacks
