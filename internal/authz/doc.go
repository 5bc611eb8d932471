// Package authz decides which events a caller may subscribe to: a request becomes a topic or a refusal, by the policy,
// the claims of the caller and a directory of entities. It knows nothing about HTTP requests, sessions and Redis.
//
// Package authz/token turns tokens into claims, authz/directory describes entities, authz/watch reads files again when
// they change.
//
// Invariants: a topic carries the organization that the directory names, so the events of another organization
// never match it; a refusal never tells a foreign entity from one that does not exist; a directory that cannot answer
// refuses new subscriptions and ends none.
package authz
