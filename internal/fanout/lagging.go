package fanout

import (
	"sync"
	"time"
)

// lagging has the outboxes of a shard whose socket is full, for operators. The shard changes it only when a socket
// becomes full, has taken all bytes, or ends. Any goroutine may read it.
type lagging struct {
	mu    sync.Mutex
	since map[*Outbox]time.Time // guarded by mu: arrival of the oldest waiting bytes
}

// set notes the time since which an outbox is behind.
func (l *lagging) set(o *Outbox, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since == nil {
		l.since = map[*Outbox]time.Time{}
	}
	l.since[o] = since
}

// remove notes that an outbox is no longer behind.
func (l *lagging) remove(o *Outbox) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.since, o)
}

// Delay returns how long the oldest waiting bytes have waited; 0: no bytes wait. It takes a lock; the shard takes this
// lock for full sockets only.
func (o *Outbox) Delay(now time.Time) time.Duration {
	l := &o.shard.lagging
	l.mu.Lock()
	defer l.mu.Unlock()
	if since, ok := l.since[o]; ok {
		return max(now.Sub(since), 0)
	}
	return 0
}
