// Package tap copies events for operators who watch them live. A node without a tap pays one atomic load for an event,
// and nothing for a subscriber. Each tap has a filter, a rate and a queue with a bound; what exceeds them is dropped
// and counted, so that a tap never holds up an event.
package tap
