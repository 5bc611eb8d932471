// Package tap copies events for operators who watch them live. A node without a tap pays one atomic load for an event,
// and nothing for a subscriber. Each tap has a filter, a rate and a queue with a bound. It drops and counts events
// above them, so a tap never delays an event.
package tap
