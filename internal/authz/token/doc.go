// Package token verifies the tokens that clients present and turns them into Claims. It owns the keys, the key sets of
// identity providers, the cache of verified tokens, the list of revoked tokens, and a signer for development.
//
// Invariants: an algorithm only ever uses keys of its own kind; nothing in the header of a token locates a key;
// an error, a log entry or a metric never contains any part of a token.
package token
