// Package events defines entities, events and topics. It decodes published messages into events and encodes events as
// the JSON or MessagePack for clients.
//
// It does no I/O, and imports only the leaf packages jsonscan and msgpack of this module. All its values may be used
// from any goroutine after they are built.
package events
