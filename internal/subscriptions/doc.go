// Package subscriptions knows who listens to what. It lives in memory only, does no I/O and starts no goroutine.
//
// A Registry is shared by the whole process: it turns a topic into its Entry without a lock, and the entry says
// which shards have listeners. A Table belongs to one shard: it turns an entry into the subscribers of that shard,
// and only the shard's goroutine may touch it.
package subscriptions
