package transport

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/transport/fallback"
)

// modelConnections keeps what connections keeps in plain lists, and counts anew for each question.
type modelConnections struct {
	limits Limits
	live   []*Conn
	used   map[connID]modelUse
	closed bool
}

// modelUse is the use of a connection token.
type modelUse struct {
	by usedBy
	at time.Time
}

func (m *modelConnections) find(id connID) *Conn {
	i := slices.IndexFunc(m.live, func(c *Conn) bool { return c.id == id })
	if i < 0 {
		return nil
	}
	return m.live[i]
}

func (m *modelConnections) count(of func(*owner) bool) (n int) {
	for _, c := range m.live {
		if of(&c.owner) {
			n++
		}
	}
	return n
}

// quota returns why an owner may have no further connection; ok: it may.
func (m *modelConnections) quota(o *owner) (reason refusal, ok bool) {
	reached := func(quota, n int) bool { return quota > 0 && n >= quota }
	network := o.network()
	switch {
	case reached(m.limits.OrganizationConnections, m.count(func(other *owner) bool {
		return other.organization == o.organization
	})):
		return refusedQuota, false
	case reached(m.limits.UserConnections, m.count(func(other *owner) bool {
		return other.organizationUser() == o.organizationUser()
	})):
		return refusedUserQuota, false
	case network.IsValid() && reached(m.limits.AddressConnections, m.count(func(other *owner) bool {
		return other.network() == network
	})):
		return refusedAddressQuota, false
	}
	return 0, true
}

func (m *modelConnections) add(c *Conn) (refusal, bool) {
	switch reason, ok := m.quota(&c.owner); {
	case m.closed:
		return refusedDraining, false
	case len(m.live) >= m.limits.Connections:
		return refusedFull, false
	case !ok:
		return reason, false
	}
	m.live = append(m.live, c)
	return 0, true
}

func (m *modelConnections) redeem(c *Conn, inTime bool, now time.Time) (refusal, bool) {
	if other := m.find(c.id); other != nil {
		if other.transport() != c.transport() {
			return refusedTransport, false
		}
		return refusedIDInUse, false
	}
	if !inTime || m.used[c.id].by != unused {
		return refusedUnknownID, false
	}
	reason, ok := m.add(c)
	if ok {
		m.used[c.id] = modelUse{usedHere, now}
	}
	return reason, ok
}

// receive takes note of a use on another node, and reports whether the own connection is the later one.
func (m *modelConnections) receive(r redemption, otherIsGreater bool, now time.Time) (later bool) {
	if c := m.find(r.id); c != nil {
		later = c.redeemedAt() > r.at || c.redeemedAt() == r.at && !otherIsGreater
	}
	if later || m.used[r.id].by == unused {
		m.used[r.id] = modelUse{usedElsewhere, now}
	}
	return later
}

// answers are the answers of connections about a token.
type answers struct {
	Live, Ended, Known, Unused, Resumable bool
	By                                    usedBy
}

func (m *modelConnections) answers(id connID, inTime bool) answers {
	c, by := m.find(id), m.used[id].by
	a := answers{
		Live: c != nil, Ended: c == nil && by == usedHere, Known: c != nil || inTime && by != usedHere,
		Unused: c == nil && inTime && by == unused, By: by,
	}
	if c != nil {
		a.By = usedHere
		a.Resumable = c.opened.Load() && c.resume != nil
	}
	return a
}

func (cs *connections) answers(id connID, inTime bool, now time.Time) answers {
	c, ended := cs.find(id, now)
	return answers{
		c != nil, ended, cs.known(id, inTime, now), cs.unused(id, inTime, now), cs.resumable(id) != nil, cs.usedBy(id, now),
	}
}

// TestConnections_agreeWithModel compares the set of connections with plain lists after each of many random steps:
// connections of few owners come and go, tokens are used here and elsewhere, limits change, and time passes.
func TestConnections_agreeWithModel(t *testing.T) {
	const retention, step = time.Minute, time.Second
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 0))
		some := func() int { return random.IntN(4) }
		limits := func() Limits {
			return Limits{
				Connections: 4 + random.IntN(20), OrganizationConnections: 2 * some(), UserConnections: some(),
				AddressConnections: some(),
			}
		}
		h, now := &Handler{started: time.Unix(1e9, 0)}, time.Unix(1e9, 0)
		m := &modelConnections{limits: limits(), used: map[connID]modelUse{}}
		cs, left, wantLeft := newConnections(&m.limits, retention), 0, 0
		cs.left = func() { left++ }
		var ids, old []connID // of tokens; old ones may be forgotten
		var gone []*Conn
		owners := func() owner {
			o := owner{organization: events.ID{byte(1 + random.IntN(3))}, user: events.ID{byte(1 + random.IntN(3))}}
			o.address = netip.AddrFrom4([4]byte{byte(1 + random.IntN(2)*9), 0, 0, byte(random.IntN(3))}) // 10.x is private
			return o
		}
		newConn := func(id connID) *Conn {
			c := &Conn{h: h, id: id, owner: owners(), since: now.Sub(h.started)}
			if random.IntN(3) == 0 {
				c.link = &linked{Link: fallback.NewStream()}
			} else if random.IntN(2) == 0 {
				c.resume = &resume{}
			}
			c.opened.Store(random.IntN(2) == 0)
			return c
		}
		for n := range 800 {
			now = now.Add(step)
			if n%9 == 0 || len(ids) == 0 {
				ids = append(ids, newConnID())
			}
			id, inTime := ids[random.IntN(len(ids))], random.IntN(8) > 0
			switch random.IntN(12) {
			case 0:
				m.limits = limits()
				cs.setLimits(&m.limits)
			case 1, 2:
				c := newConn(newConnID())
				got, ok := cs.add(c)
				if want, wantOK := m.add(c); got != want || ok != wantOK {
					t.Fatalf("seed %d, step %d: add: %v %v, want %v %v", seed, n, got, ok, want, wantOK)
				}
			case 3, 4, 5:
				c := newConn(id)
				got, ok := cs.redeem(c, inTime, now)
				if want, wantOK := m.redeem(c, inTime, now); got != want || ok != wantOK {
					t.Fatalf("seed %d, step %d: redeem: %v %v, want %v %v", seed, n, got, ok, want, wantOK)
				}
			case 6:
				at := now.Add(-time.Duration(random.IntN(20)) * step)
				if c := m.find(id); c != nil && random.IntN(2) == 0 {
					at = h.started.Add(c.since)
				}
				r, other := redemption{id, at.UnixMicro()}, [nodeLen]byte{byte(random.IntN(2) * 2)}
				var want []*Conn
				if m.receive(r, other[0] > 1, now) {
					want = append(want, m.find(id))
				}
				if got := cs.spentElsewhere([]redemption{r}, other, [nodeLen]byte{1}, now); !slices.Equal(got, want) {
					t.Fatalf("seed %d, step %d: %d connections are later, want %d", seed, n, len(got), len(want))
				}
			case 7: // it has ended already
				if len(gone) > 0 {
					cs.remove(gone[random.IntN(len(gone))])
				}
			default:
				if len(m.live) > 0 {
					i := random.IntN(len(m.live))
					cs.remove(m.live[i])
					gone = append(gone, m.live[i])
					m.live = slices.Delete(m.live, i, i+1)
					wantLeft++
				}
			}
			// Between one and two times the retention a token may be forgotten, later it must be.
			isOld := func(id connID) bool { return m.used[id].by != unused && now.Sub(m.used[id].at) >= retention }
			isForgotten := func(id connID) bool { return m.find(id) == nil && now.Sub(m.used[id].at) > 2*retention+3*step }
			for _, id := range ids {
				if isOld(id) {
					old = append(old, id)
				}
			}
			ids = slices.DeleteFunc(ids, isOld)
			for _, id := range old {
				if isForgotten(id) {
					delete(m.used, id)
					ids = append(ids, id)
				}
			}
			old = slices.DeleteFunc(old, func(id connID) bool { return m.used[id].by == unused })
			for _, id := range ids {
				if diff := cmp.Diff(m.answers(id, inTime), cs.answers(id, inTime, now)); diff != "" {
					t.Fatalf("seed %d, step %d: %s", seed, n, diff)
				}
			}
			o := owners()
			got, ok := cs.quota(&o)
			want, wantOK := m.quota(&o)
			if got != want || ok != wantOK || cs.roomFor(&o.remote) != m.quotaOfAddress(&o) {
				t.Fatalf("seed %d, step %d: quota: %v %v, want %v %v", seed, n, got, ok, want, wantOK)
			}
			linked := 0
			for _, c := range m.live {
				if c.link != nil {
					linked++
				}
			}
			if cs.len() != len(m.live) || cs.sockets() != len(m.live)-linked || cs.free() != m.limits.Connections-len(m.live) ||
				left != wantLeft {
				t.Fatalf("seed %d, step %d: %d connections, %d sockets, room for %d, %d have left; want %d, %d", seed, n,
					cs.len(), cs.sockets(), cs.free(), left, len(m.live), len(m.live)-linked)
			}
		}
		empty := cs.shut()
		m.closed = true
		if _, ok := cs.add(newConn(newConnID())); ok {
			t.Error("a connection comes in after the end")
		}
		for _, c := range m.live {
			select {
			case <-empty:
				t.Error("not all connections have left")
			default:
			}
			cs.remove(c)
		}
		<-empty
	}
}

// quotaOfAddress reports whether the address of an owner may have another connection.
func (m *modelConnections) quotaOfAddress(o *owner) bool {
	alone := *m
	alone.limits.OrganizationConnections, alone.limits.UserConnections = 0, 0
	_, ok := alone.quota(o)
	return ok
}
