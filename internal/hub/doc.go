// Package hub owns SignalR sessions and the five methods a client can call.
//
// A Session is the authenticated life of one connection. Its invocations run one at a time and in order, on a
// bounded pool of long-lived loops of github.com/philippseith/signalr that bind the arguments, call the method and
// encode the completion; nothing of the library stays with an idle connection.
package hub
