// Package websocket owns the WebSocket protocol on the server's side (RFC 6455): the frames of both directions and the
// sockets that carry them. It knows no hub protocol and imports nothing of ours.
//
// Invariants:
//
//   - A waiting Socket holds no buffer.
//   - One goroutine at a time reads a Socket. A Poller starts the next one.
//   - TryWrite never blocks and never allocates.
//   - FrameReader keeps no payload except that of an incomplete control frame, which is 125 bytes at most.
package websocket
