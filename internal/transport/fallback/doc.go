// Package fallback carries connections without a WebSocket by HTTP requests: the transports ServerSentEvents and
// LongPolling of SignalR. A Link looks like a socket to the connection. The connection writes the frames of a WebSocket
// to it. The Link takes their headers off and keeps their contents until a request of the client fetches them. The
// connection reads the bytes that the client posts.
//
// Invariants:
//
//   - A Link keeps at most mostWaiting bytes and one write behind them. It then counts as full, as a socket does, and
//     the outbox of the connection applies its bounds.
//   - A request gets whole hub messages only (W6).
//   - A Link starts no goroutine and has no timer.
//
// Row names such as W6 refer to docs/compatibility.md.
package fallback
