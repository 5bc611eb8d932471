// Package hub owns SignalR sessions and the five methods a client can call.
//
// A Session is the authenticated life of one connection. Its invocations run one at a time and in order, on a
// bounded pool of long-lived loops of github.com/philippseith/signalr that bind the arguments, call the method and
// encode the completion; nothing of the library stays with an idle connection.
//
// What always holds:
//
//   - Only the five methods reach the library, with arguments that cannot end its loop; all other calls are answered
//     before it, in the words of ASP.NET Core.
//   - Of what the library writes, only the one completion that is waited for gets out.
//   - A subscription is in the session's list exactly as long as its outbox has it and its lane is held. All three
//     change together with the answer, in Session.commit, or not at all.
//   - Nothing is left of a session that was closed, whatever it was doing.
//
// Rows such as D1 in comments are those of docs/compatibility.md; H1 to H20 are the hazards of the library that
// docs/decisions/0030-library-behind-a-filter.md lists.
package hub
