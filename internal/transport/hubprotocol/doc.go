// Package hubprotocol owns the hub protocols of SignalR: JSON and MessagePack. It cuts the stream of a client into hub
// messages, decodes them, and makes the frames of answers, notices and events.
//
// Invariants:
//
//   - Protocols and encoders hold no state of a connection. Any goroutine may use them.
//   - A frame holds complete hub messages only (W6) and begins with its WebSocket header.
//   - A decoded Invocation shares no memory with the read buffer.
//   - A hub message is bounded before it is kept, and a length is checked before it is trusted.
//
// Row names such as W5 or D7, and section numbers such as 1.6, refer to docs/compatibility.md.
package hubprotocol
