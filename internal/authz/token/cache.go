package token

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Sizes of a cache.
const (
	DefaultCacheSize = 32 << 20 // bytes
	entryOverhead    = 256      // bytes of an entry, in addition to the length of its token
	evictionSample   = 8        // entries among which the one to evict is chosen
)

// withoutExpiry is the lifetime of the entry of a token that never expires.
const withoutExpiry = time.Hour

// cache holds the claims of verified tokens, so that a client that reconnects costs a hash instead of a signature. Its
// keys are hashes of tokens, never tokens. It does not hold refused tokens.
//
// It is not an LRU library: entries end with their tokens, the bound is in bytes, and evicting the entry that ends
// first among a few needs no order of use and no allocation per entry.
type cache struct {
	limit   int // bytes
	metrics *cacheMetrics

	mu         sync.Mutex
	entries    map[digest]cacheEntry // guarded by mu
	size       int                   // bytes, guarded by mu
	generation uint64                // guarded by mu: counts calls of forget
}

type digest [sha256.Size]byte

// hashOf returns the hash of a token. A token of the usual length is copied to the stack; a conversion would allocate.
func hashOf(text string) digest {
	return sha256.Sum256(append(make([]byte, 0, 512), text...))
}

type cacheEntry struct {
	claims *Claims
	until  time.Time
	size   int
}

func newCache(limit int, metrics *cacheMetrics) *cache {
	metrics.capacity.Set(float64(limit))
	return &cache{limit: limit, metrics: metrics, entries: map[digest]cacheEntry{}}
}

// get returns the claims of a token that was verified before and has not expired since. If claims is nil, verify the
// token and pass the generation to put.
func (c *cache) get(hash digest) (claims *Claims, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[hash]
	if ok && time.Now().Before(entry.until) {
		c.metrics.hits.Inc()
		return entry.claims, c.generation
	}
	if ok {
		c.removeLocked(hash, entry)
	}
	c.metrics.misses.Inc()
	return nil, c.generation
}

// put adds the claims of a token of the given length until a time. It does nothing if the keys changed since
// generation.
func (c *cache) put(hash digest, generation uint64, claims *Claims, length int, until time.Time) {
	size := entryOverhead + length
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation || size > c.limit {
		return
	}
	if before, ok := c.entries[hash]; ok {
		c.removeLocked(hash, before)
	}
	for c.size+size > c.limit {
		c.evictLocked()
	}
	c.entries[hash] = cacheEntry{claims: claims, until: until, size: size}
	c.size += size
	c.metrics.size.Set(float64(c.size))
}

// forget empties the cache. Call it when a key is no longer accepted: its tokens must be verified again.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.size = 0
	clear(c.entries)
	c.metrics.size.Set(0)
}

// evictLocked removes, of a few entries in the random order of the map, the one that expires first.
func (c *cache) evictLocked() {
	var victim digest
	var until time.Time
	seen := 0
	for hash, entry := range c.entries {
		if seen == 0 || entry.until.Before(until) {
			victim, until = hash, entry.until
		}
		if seen++; seen == evictionSample {
			break
		}
	}
	c.removeLocked(victim, c.entries[victim])
}

func (c *cache) removeLocked(hash digest, entry cacheEntry) {
	delete(c.entries, hash)
	c.size -= entry.size
	c.metrics.size.Set(float64(c.size))
}
