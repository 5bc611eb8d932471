// Package transport owns the edge of the SignalR hub: HTTP, negotiate, the upgrade, connections, the hub handshake,
// keep-alive, limits, close and drain. WebSocket frames are in package websocket, hub messages in package hubprotocol.
//
// Invariants:
//
//   - Nothing is upgraded without a verified token.
//   - Serve handles plain upgrades in front of net/http. Its answers are those of net/http and ServeHTTP.
//   - An idle connection has no goroutine where a poller can wait for its bytes: on a plain socket, on Linux. Elsewhere
//     it has one, which waits without a buffer. It has no goroutine that writes and no timer.
//   - One goroutine at a time writes to a socket: the one that answers the upgrade, then the reader until the session
//     is open, then the shard that owns the connection's outbox, or the one goroutine that the shard starts for a full
//     socket. Every write hands over whole frames.
//   - A connection of ServerSentEvents or LongPolling has a fallback.Link in place of a WebSocket: the same frames, the
//     same reader, session and outbox. Requests of its client are the goroutines of net/http. They write only the
//     messages of the Link.
//   - With stateful reconnect a connection outlives its socket. The reader parks, the outbox keeps what the client has
//     not acknowledged, and the shard switches to the next socket when no write is under way. A Close message ends the
//     id of the connection before it is sent.
//   - Everything that a client sends is bounded before it is kept.
//
// Row names such as N5, W6 or D7 refer to docs/compatibility.md. It lists what Microsoft's clients expect of a server
// that behaves like ASP.NET Core.
package transport
