// Package directory describes the entities that clients subscribe to: their kind, their organization and their members.
// The description comes from a file, from documents in a key-value store, from an HTTP API, or from nowhere
// (FromClaims).
//
// Invariants: a slow source is read through one bounded cache (Cached), once per batch; a source that fails
// makes entities unavailable and never known; a caller cannot tell a foreign entity from one that does not exist,
// neither by the answer nor by its time.
package directory
