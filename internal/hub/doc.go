// Package hub owns SignalR sessions and the five methods that clients can call.
//
// A Session is the authenticated life of one connection. Its invocations run one at a time and in order. The package
// invoker runs them on the SignalR library; an idle connection holds nothing of the library.
//
// Invariants:
//
//   - Only the five methods reach the library, with arguments that the hub has already read. All other calls are
//     answered before, in the words of ASP.NET Core.
//   - A subscription is in the list of its session exactly as long as its outbox has it and its lane is held. All three
//     change together with the answer, in Session.commit, or not at all.
//   - A closed session leaves nothing behind, whatever it was doing.
//
// Extensions are opt-in (Features): notices, with codes and trace ids of refusals, and snapshots.
//
// To add a method, add it to method, String and bind in method.go, and to call.run in methods.go; answerSize in
// methods.go, if its answer can be large; methods in events/generate/asyncapi.go and hub.d.ts, for the contract; and
// appendResult of hubprotocol, for a new type of result.
//
// Rows such as D1 in comments are those of docs/compatibility.md. Hazards such as H2 are those of
// docs/decisions/0001-library-behind-a-filter.md.
package hub
