package token

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Sizes of a cache.
const (
	DefaultCacheSize = 32 << 20 // bytes
	entryOverhead    = 256      // bytes of an entry besides what grows with its token
	evictionSample   = 8        // entries among which the one to give up is chosen
)

// withoutExpiry is how long the verification of a token that never expires is remembered.
const withoutExpiry = time.Hour

// cache remembers which tokens were verified, so that a client that comes back costs a hash and not a signature.
// It holds hashes, never tokens, and what was refused it does not hold at all.
type cache struct {
	limit   int // bytes
	metrics *cacheMetrics

	mu         sync.Mutex
	entries    map[digest]cacheEntry // guarded by mu
	size       int                   // bytes, guarded by mu
	generation uint64                // guarded by mu: counts calls of forget
}

type digest [sha256.Size]byte

// hashOf copies a token of the usual length to the stack, not to the heap as a conversion would.
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

// get returns the claims of a token that was verified before and has not expired since. Otherwise the token has to be
// verified, and put wants the generation back.
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

// put remembers a token of the given length until it expires. It does nothing if the keys changed since generation.
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

// forget empties the cache: what a key verified that is no longer accepted has to be verified again.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.size = 0
	clear(c.entries)
	c.metrics.size.Set(0)
}

// evictLocked gives up the entry of a few, taken at random by the order of the map, that expires first.
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
