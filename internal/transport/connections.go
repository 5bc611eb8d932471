package transport

import (
	"bytes"
	"cmp"
	"net/netip"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// connections is the set of connections of this node. It also keeps the connection tokens that were used here. Any
// goroutine may use it.
type connections struct {
	left      func()        // is called after a connection has ended; set before the first one
	retention time.Duration // no node accepts a connection token for longer

	readers sync.WaitGroup // the connections that are read, and the goroutines of the sockets in awaiting

	mu            sync.Mutex // guards the following fields
	limit         int
	live          map[connID]*Conn
	awaiting      map[*handover]struct{} // sockets whose client has not sent its Sequence
	unclaimed     int                    // of awaiting, those whose client should have sent it
	linked        int                    // of live, without a socket of their own
	organizations counts[events.ID]
	users         counts[organizationUser]
	networks      counts[netip.Addr]
	closed        bool
	empty         chan struct{} // closed when closed is set and live is empty
	// A used token is refused until no node would accept it. Ids move from spent to spentBefore after retention. They are
	// forgotten after as long again.
	spent, spentBefore map[connID]usedBy
	rotated            time.Time
}

func newConnections(limits *Limits, retention time.Duration) *connections {
	return &connections{
		limit:         limits.Connections,
		retention:     retention,
		live:          map[connID]*Conn{},
		awaiting:      map[*handover]struct{}{},
		organizations: newCounts[events.ID](limits.OrganizationConnections),
		users:         newCounts[organizationUser](limits.UserConnections),
		networks:      newCounts[netip.Addr](limits.AddressConnections),
		empty:         make(chan struct{}),
		left:          func() {},
		spent:         map[connID]usedBy{},
	}
}

// len returns the number of connections, including those whose upgrade is not answered yet.
func (cs *connections) len() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.live)
}

// sockets returns the number of connections with a socket of their own.
func (cs *connections) sockets() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.live) - cs.linked
}

// awaitingSockets returns the number of sockets whose client has not sent its Sequence.
func (cs *connections) awaitingSockets() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.awaiting)
}

// add adds a connection without a connection token, whose id the server made up (skipNegotiation). It reports whether
// there was room.
func (cs *connections) add(c *Conn) (refusal, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.addLocked(c)
}

// redeem adds a connection that uses its connection token, which works once and in time (1.3).
func (cs *connections) redeem(c *Conn, inTime bool, now time.Time) (refusal, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if other, taken := cs.live[c.id]; taken {
		if other.transport() != c.transport() {
			return refusedTransport, false
		}
		return refusedIDInUse, false
	}
	if !inTime || cs.spentLocked(c.id, now) != unused {
		return refusedUnknownID, false
	}
	if reason, ok := cs.addLocked(c); !ok {
		return reason, false
	}
	cs.spent[c.id] = usedHere
	return 0, true
}

func (cs *connections) addLocked(c *Conn) (refusal, bool) {
	if cs.closed {
		return refusedDraining, false
	}
	if len(cs.live) >= cs.limit {
		return refusedFull, false
	}
	if reason, ok := cs.quotaLocked(&c.owner); !ok {
		return reason, false
	}
	cs.live[c.id] = c
	if c.link != nil {
		cs.linked++
	}
	cs.organizations.add(c.owner.organization)
	cs.users.add(c.owner.organizationUser())
	cs.networks.add(c.owner.network())
	return 0, true
}

// free returns the number of connections for which the node has room.
func (cs *connections) free() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.limit - len(cs.live)
}

// roomFor reports whether there is room for another connection from an address.
func (cs *connections) roomFor(from *remote) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return !cs.networks.full(from.network())
}

// quota reports whether the quotas allow another connection of an owner, and the reason if they do not.
func (cs *connections) quota(o *owner) (refusal, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.quotaLocked(o)
}

func (cs *connections) quotaLocked(o *owner) (refusal, bool) {
	switch {
	case cs.organizations.full(o.organization):
		return refusedQuota, false
	case cs.users.full(o.organizationUser()):
		return refusedUserQuota, false
	case cs.networks.full(o.network()):
		return refusedAddressQuota, false
	}
	return 0, true
}

// known reports whether a connection token belongs to a connection, which another node may have, or may still open one.
func (cs *connections) known(id connID, inTime bool, now time.Time) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	_, taken := cs.live[id]
	return taken || inTime && cs.spentLocked(id, now) != usedHere
}

// unused reports whether a connection token may still open a connection.
func (cs *connections) unused(id connID, inTime bool, now time.Time) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	_, taken := cs.live[id]
	return !taken && inTime && cs.spentLocked(id, now) == unused
}

// usedBy is the node that has used a connection token.
type usedBy uint8

const (
	unused usedBy = iota
	usedHere
	usedElsewhere
)

// spentLocked returns who has used a connection token lately.
func (cs *connections) spentLocked(id connID, now time.Time) usedBy {
	if now.Sub(cs.rotated) > cs.retention {
		cs.spentBefore, cs.spent = cs.spent, map[connID]usedBy{}
		cs.rotated = now
	}
	return cmp.Or(cs.spent[id], cs.spentBefore[id])
}

// spentElsewhere records tokens that another node has accepted. It returns the connections of this node that used one
// of them later; of two at the same time, the node with the greater name has the later one.
func (cs *connections) spentElsewhere(list []redemption, other, own [nodeLen]byte, now time.Time) (later []*Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for i := range list {
		r := &list[i]
		c := cs.live[r.id]
		if c != nil && cmp.Or(cmp.Compare(c.redeemedAt(), r.at), bytes.Compare(own[:], other[:])) > 0 {
			later = append(later, c)
			cs.spent[r.id] = usedElsewhere // a refresh goes to the other node
		}
		if cs.spentLocked(r.id, now) == unused {
			cs.spent[r.id] = usedElsewhere
		}
	}
	return later
}

// remove forgets a connection that has ended.
func (cs *connections) remove(c *Conn) {
	cs.mu.Lock()
	known := cs.live[c.id] == c
	if known {
		delete(cs.live, c.id)
		if c.link != nil {
			cs.linked--
		}
		cs.organizations.remove(c.owner.organization)
		cs.users.remove(c.owner.organizationUser())
		cs.networks.remove(c.owner.network())
	}
	cs.signalLocked()
	cs.mu.Unlock()
	if known {
		cs.left()
	}
}

// shut refuses connections from now on. It returns a channel that is closed when the last connection has ended.
func (cs *connections) shut() <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.closed {
		cs.closed = true
		cs.signalLocked()
	}
	return cs.empty
}

func (cs *connections) signalLocked() {
	if cs.closed && len(cs.live) == 0 {
		close(cs.empty)
	}
}

// attach gives a connection its socket, once its upgrade is answered, and counts its reader. It returns false if shut
// was called meanwhile.
func (cs *connections) attach(c *Conn, sock *websocket.Socket) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return false
	}
	c.sock.Store(sock)
	cs.readers.Add(1)
	return true
}

// maxUnclaimed bounds the sockets that stay open although their client has sent no Sequence in time.
const maxUnclaimed = 1000

// await counts the goroutine of a socket that waits for the Sequence of its client, for a limited time. It returns
// false after shut.
func (cs *connections) await(t *handover, limit time.Duration) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return false
	}
	t.sock.SetReadTimeout(limit)
	cs.awaiting[t] = struct{}{}
	cs.readers.Add(1)
	return true
}

// stay lets a socket without a Sequence stay for some time. It returns false if there are too many, and after shut.
func (cs *connections) stay(t *handover, limit time.Duration) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed || !t.unclaimed && cs.unclaimed >= maxUnclaimed {
		return false
	}
	if !t.unclaimed {
		t.unclaimed = true
		cs.unclaimed++
	}
	t.sock.SetReadTimeout(limit)
	return true
}

// unclaimedSockets returns the number of sockets that stay.
func (cs *connections) unclaimedSockets() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.unclaimed
}

// awaited is the end of the goroutine.
func (cs *connections) awaited(t *handover) {
	cs.mu.Lock()
	delete(cs.awaiting, t)
	if t.unclaimed {
		cs.unclaimed--
	}
	cs.mu.Unlock()
	cs.readers.Done()
}

// wake ends the wait of the readers whose client has not sent its handshake or its Sequence.
func (cs *connections) wake() {
	cs.mu.Lock()
	for t := range cs.awaiting {
		t.sock.WakeReader()
	}
	cs.mu.Unlock()
	for _, c := range cs.attached() {
		if !c.greeted.Load() {
			c.socket().WakeReader()
		}
	}
}

// abort ends all connections at once.
func (cs *connections) abort() {
	for _, c := range cs.attached() {
		c.abort()
	}
}

// find returns the connection with an id. nil: this node does not have it; ended then reports whether it had it lately.
func (cs *connections) find(id connID, now time.Time) (c *Conn, ended bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c = cs.live[id]
	return c, c == nil && cs.spentLocked(id, now) == usedHere
}

// resumable returns the open connection with an id, if it may continue on another socket; nil: this node has no such
// connection.
func (cs *connections) resumable(id connID) *Conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.live[id]; c != nil && c.opened.Load() && c.resume != nil {
		return c
	}
	return nil
}

// usedBy returns the node that has used a connection token lately.
func (cs *connections) usedBy(id connID, now time.Time) usedBy {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, live := cs.live[id]; live {
		return usedHere
	}
	return cs.spentLocked(id, now)
}

// attached returns the connections that have a socket.
func (cs *connections) attached() []*Conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	conns := make([]*Conn, 0, len(cs.live))
	for _, c := range cs.live {
		if c.sock.Load() != nil {
			conns = append(conns, c)
		}
	}
	return conns
}
