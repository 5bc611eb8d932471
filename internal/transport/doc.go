// Package transport is the edge of the SignalR hub: negotiate, the WebSocket upgrade and its framing, the hub
// handshake, keep-alive, limits, close and drain, and the frames of both hub protocols.
//
// What always holds:
//
//   - Nothing is upgraded without a verified token.
//   - Serve takes plain upgrades in front of net/http, and answers none otherwise than net/http and ServeHTTP would.
//   - An idle connection has one goroutine, which is parked without a buffer, and nothing else: no goroutine that
//     writes, no timer of its own.
//   - Before its session is open the reader goroutine of a connection is the only one to write to the socket; from
//     then on only the shard that owns the connection's outbox is. Every write hands over whole frames.
//   - A WebSocket message of the server holds complete hub messages only.
//   - What a client sends is bounded before it is kept.
//
// Rows such as N5, W6 or D7 in comments are those of docs/compatibility.md, which lists what a server has to do to be
// indistinguishable from ASP.NET Core for the clients of Microsoft.
package transport
