// Package subscriptions knows which sessions subscribe to which topics. It lives in memory only, does no I/O and starts
// no goroutine. Flow control is the business of its user, package fanout.
//
// The process has one Registry. It finds the Entry of a topic without a lock, and the entry names the shards that have
// subscribers. Each shard has a Table of its own. It finds the shard's subscribers of an entry, and only the shard's
// goroutine may use it.
//
// These hold at all times: a topic has at most one entry; an entry is in the registry as long as a user of it has not
// released it; an entry names every shard whose table has subscribers of it.
package subscriptions
