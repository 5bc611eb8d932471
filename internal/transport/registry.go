package transport

import (
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// registry knows the connections of this node, and which connection tokens were used on it.
type registry struct {
	limit int
	quota int           // connections of an organization; 0: no limit
	ttl   time.Duration // no token lives longer

	readers sync.WaitGroup // the goroutines of connections

	mu     sync.Mutex // guards the following fields
	live   map[connID]*Conn
	shares map[events.ID]*share // by organization; nil where there is no quota
	closed bool
	empty  chan struct{} // closed when closed and live is empty
	// A token that was used is refused for as long as it has not expired. Ids move from spent to spentBefore after ttl
	// and are forgotten after as long again.
	spent, spentBefore map[connID]struct{}
	rotated            time.Time
}

// share is what an organization has of the connections. It is kept as long as there are any.
type share struct {
	organization events.ID
	connections  int // guarded by registry.mu
}

func newRegistry(limit, quota int, ttl time.Duration) *registry {
	r := &registry{
		limit: limit,
		quota: quota,
		ttl:   ttl,
		live:  map[connID]*Conn{},
		empty: make(chan struct{}),
		spent: map[connID]struct{}{},
	}
	if quota > 0 {
		r.shares = map[events.ID]*share{}
	}
	return r
}

// len is the number of connections, those included whose upgrade has not been answered.
func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live)
}

// add takes in a connection whose client made its id up by connecting without one (skipNegotiation).
func (r *registry) add(c *Conn) (refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addLocked(c)
}

// redeem takes in a connection that uses a token: once, and before it expires (1.3).
func (r *registry) redeem(c *Conn, expires, now time.Time) (refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.live[c.id]; taken {
		return refusedIDInUse, false
	}
	if !r.freshLocked(c.id, expires, now) {
		return refusedUnknownID, false
	}
	if reason, ok := r.addLocked(c); !ok {
		return reason, false
	}
	r.spent[c.id] = struct{}{}
	return 0, true
}

func (r *registry) addLocked(c *Conn) (refusal, bool) {
	if r.closed {
		return refusedDraining, false
	}
	if reason, ok := r.roomLocked(c.claims.Organization); !ok {
		return reason, false
	}
	r.live[c.id] = c
	if r.shares != nil {
		c.share = r.shares[c.claims.Organization]
		if c.share == nil {
			c.share = &share{organization: c.claims.Organization}
			r.shares[c.claims.Organization] = c.share
		}
		c.share.connections++
	}
	return 0, true
}

// room says whether there is room for another connection of an organization, or why not.
func (r *registry) room(organization events.ID) (refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roomLocked(organization)
}

func (r *registry) roomLocked(organization events.ID) (refusal, bool) {
	if len(r.live) >= r.limit {
		return refusedFull, false
	}
	if s := r.shares[organization]; s != nil && s.connections >= r.quota {
		return refusedQuota, false
	}
	return 0, true
}

// known says whether a token stands for a connection: one that is open, or one that may still be opened.
func (r *registry) known(id connID, expires, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, taken := r.live[id]
	return taken || r.freshLocked(id, expires, now)
}

// freshLocked says whether a token has neither expired nor been used.
func (r *registry) freshLocked(id connID, expires, now time.Time) bool {
	if now.Sub(r.rotated) > r.ttl {
		r.spentBefore, r.spent = r.spent, map[connID]struct{}{}
		r.rotated = now
	}
	_, spent := r.spent[id]
	_, spentBefore := r.spentBefore[id]
	return !spent && !spentBefore && expires.After(now)
}

// remove forgets a connection that has ended.
func (r *registry) remove(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, c.id)
	if s := c.share; s != nil {
		if s.connections--; s.connections == 0 {
			delete(r.shares, s.organization)
		}
		c.share = nil
	}
	r.signalLocked()
}

// shut refuses connections from now on. The channel is closed when there is none any more.
func (r *registry) shut() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.signalLocked()
	}
	return r.empty
}

func (r *registry) signalLocked() {
	if r.closed && len(r.live) == 0 {
		close(r.empty)
	}
}

// attach gives a connection its socket, once its upgrade has been answered, and begins to count its reader. It refuses
// when the registry was shut meanwhile.
func (r *registry) attach(c *Conn, sock *socket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	c.sock = sock
	r.readers.Add(1)
	return true
}

// wake ends the wait of the readers whose client has not sent its handshake.
func (r *registry) wake() {
	for _, c := range r.attached() {
		if !c.greeted.Load() {
			c.sock.wakeReader()
		}
	}
}

// abort ends all connections at once.
func (r *registry) abort() {
	for _, c := range r.attached() {
		c.sock.abort()
	}
}

// find is the connection with an id; nil: it is not on this node.
func (r *registry) find(id connID) *Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[id]
}

// attached are the connections that have a socket.
func (r *registry) attached() []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns := make([]*Conn, 0, len(r.live))
	for _, c := range r.live {
		if c.sock != nil {
			conns = append(conns, c)
		}
	}
	return conns
}
