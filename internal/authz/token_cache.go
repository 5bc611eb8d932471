package authz

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Sizes of a tokenCache.
const (
	DefaultTokenCache = 32 << 20 // bytes
	entryOverhead     = 256      // bytes of an entry besides what grows with its token
	evictionSample    = 8        // entries among which the one to give up is chosen
)

// withoutExpiry is how long the verification of a token that never expires is remembered.
const withoutExpiry = time.Hour

// tokenCache remembers which tokens were verified, so that a client that comes back costs a hash and not a signature.
// It holds hashes, never tokens, and what was refused it does not hold at all.
type tokenCache struct {
	limit   int // bytes
	metrics *tokenCacheMetrics

	mu         sync.Mutex
	entries    map[tokenHash]tokenEntry // guarded by mu
	size       int                      // bytes, guarded by mu
	generation uint64                   // guarded by mu: counts calls of forget
}

type tokenHash [sha256.Size]byte

// hashToken copies a token of the usual length to the stack, not to the heap as a conversion would.
func hashToken(text string) tokenHash {
	return sha256.Sum256(append(make([]byte, 0, 512), text...))
}

type tokenEntry struct {
	claims *Claims
	until  time.Time
	size   int
}

func newTokenCache(limit int, metrics *tokenCacheMetrics) *tokenCache {
	metrics.capacity.Set(float64(limit))
	return &tokenCache{limit: limit, metrics: metrics, entries: map[tokenHash]tokenEntry{}}
}

// get returns the claims of a token that was verified before and has not expired since. Otherwise the token has to be
// verified, and put wants the generation back.
func (c *tokenCache) get(hash tokenHash) (claims *Claims, generation uint64) {
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
func (c *tokenCache) put(hash tokenHash, generation uint64, claims *Claims, length int, until time.Time) {
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
	c.entries[hash] = tokenEntry{claims: claims, until: until, size: size}
	c.size += size
	c.metrics.size.Set(float64(c.size))
}

// forget empties the cache: what a key verified that is no longer accepted has to be verified again.
func (c *tokenCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.size = 0
	clear(c.entries)
	c.metrics.size.Set(0)
}

// evictLocked gives up the entry of a few, taken at random by the order of the map, that expires first.
func (c *tokenCache) evictLocked() {
	var victim tokenHash
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

func (c *tokenCache) removeLocked(hash tokenHash, entry tokenEntry) {
	delete(c.entries, hash)
	c.size -= entry.size
	c.metrics.size.Set(float64(c.size))
}
