// Package invoker runs hub calls on github.com/philippseith/signalr. It is the only package of the server that runs
// the library, and it owns the two filters around it and nothing else.
//
// An Invoker keeps a bounded number of long-lived loops. Each loop is a server of the library with one connection in
// memory. Invoke hands a Call to a loop that has a place for it; the library reads the message of the call, runs the
// function of the call on a goroutine and encodes its result as a completion.
//
// Invariants:
//
//   - The library reads only messages that this package wrote: an id and no text of a client.
//   - Of everything the library writes, only the one completion that a call waits for leaves this package.
//   - Each call ends exactly once, and not while its function runs.
//   - A loop that ends is replaced; the calls that it had fail.
//
// H1 to H20 in comments and tests are the hazards of the library that
// docs/decisions/0001-library-behind-a-filter.md lists.
package invoker
