// Package event makes the events that the bench publishes, and reads their marks.
//
// Each event carries a mark: the topic, the number of the event within its topic, and the time of publishing. The load
// client finds the mark by its first byte, so it can count, order and time a delivery without parsing. An event has
// three forms with the same payload: as publishers send it, as the message that a client receives, and as the WebSocket
// frame that the physical limit writes.
package event
