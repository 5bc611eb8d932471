package hub_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/fanout"
	"github.com/rte-server/rte-server/internal/hub"
)

func TestCloseIf_closesThoseThatMatch(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		mine, another := r.connect(t), r.connect(t)
		mine.invoke(t, "1", "Subscribe", items(1))
		closed := r.CloseIf(hub.CloseByOperator, func(s *hub.Session) bool { return s == mine.Session })
		synctest.Wait()
		if closed != 1 {
			t.Errorf("closed %d sessions", closed)
		}
		expect(t, mine.lines(), "close operator")
		expect(t, another.lines())
		if closed = r.CloseIf(hub.CloseRevoked, func(s *hub.Session) bool { return s == mine.Session }); closed != 0 {
			t.Errorf("closed %d sessions that had ended", closed)
		}
	})
}

func TestInfo_describesTheSession(t *testing.T) {
	run(t, hub.Options{}, func(t *testing.T, r *rig) {
		before := time.Now()
		time.Sleep(2 * time.Second)
		c := r.connect(t)
		c.invoke(t, "1", "Subscribe", items(1, 2))
		info := c.Info()
		if info.ID != "connection" || info.Protocol != fanout.ProtocolJSON || info.Claims != c.Claims() ||
			info.Subscriptions != 2 || info.Since.Sub(before) != 2*time.Second {
			t.Errorf("%+v", info)
		}
	})
}

func TestOpen_refusesARevokedToken(t *testing.T) {
	revoked := func(*authz.Claims) bool { return true }
	run(t, hub.Options{Authorization: hub.Authorization{Revoked: revoked}}, func(t *testing.T, r *rig) {
		c := &conn{}
		if _, err := r.Open(c, &authz.Claims{}); !errors.Is(err, hub.ErrRevoked) {
			t.Errorf("opened with %v", err)
		}
		expect(t, c.lines())
	})
}

// Sessions that open while their token is revoked are refused or closed.
func TestOpen_leavesNoSessionWithARevokedToken(t *testing.T) {
	claims := &authz.Claims{Organization: organization, TokenID: "x"}
	for range 200 {
		revocations := &switchable{}
		r := newRig(t, hub.Options{Authorization: hub.Authorization{Revoked: revocations.check}})
		stop := r.start(t)
		var opening sync.WaitGroup
		for range 8 {
			opening.Go(func() { _, _ = r.Open(&conn{}, claims) })
		}
		opening.Go(func() {
			revocations.revoke()
			r.CloseIf(hub.CloseRevoked, func(*hub.Session) bool { return true })
		})
		opening.Wait()
		if n := r.Sessions().Len(); n != 0 {
			t.Fatalf("%d sessions go on with a revoked token", n)
		}
		stop()
	}
}

// switchable revokes every token once revoke was called.
type switchable struct {
	mu sync.Mutex
	on bool // guarded by mu
}

func (s *switchable) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = true
}

func (s *switchable) check(*authz.Claims) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on
}
