// Package event makes the events that the bench publishes and reads their marks back.
//
// Every event carries a mark: the topic, the number of the event within its topic, and the time of publishing.
// The load client finds it by its first byte, so that it can count, order and time a delivery without parsing.
// One event has three forms of the same payload bytes: as publishers send it, as the message that a client
// receives, and as the finished WebSocket frame that the physical limit writes.
package event
