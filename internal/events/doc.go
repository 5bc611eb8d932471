// Package events is the language of rte-server: what an entity, an event and a topic are, and how the bytes
// of a published message become an event and the JSON or MessagePack that clients receive.
//
// It does no I/O and knows no other package of this module. Everything in it may be used from any goroutine
// once it is built.
package events
