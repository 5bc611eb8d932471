package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// memoryStore is a store of revocations that can be unavailable.
type memoryStore struct {
	mu       sync.Mutex
	away     bool // every operation fails
	closed   bool // it is read-only
	members  map[string]time.Time
	notified []string
	reads    int
}

var errAway = errors.New("away")

func (c *memoryStore) Keep(_ context.Context, member []byte, until time.Time, message []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away || c.closed {
		return errAway
	}
	c.members[string(member)] = until
	c.notified = append(c.notified, string(message))
	return nil
}

func (c *memoryStore) Kept(_ context.Context, each func([]byte, time.Time)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if c.away {
		return errAway
	}
	for _, member := range slices.Sorted(maps.Keys(c.members)) {
		each([]byte(member), c.members[member])
	}
	return nil
}

func (c *memoryStore) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// sharing is a node that shares its revocations.
type sharing struct {
	*token.SharedRevocations
	*memoryStore
	list     *token.Revocations
	registry *prometheus.Registry

	mu       sync.Mutex
	enforced [][]token.Revocation // guarded by mu
}

func newSharing(t *testing.T, c *memoryStore) *sharing {
	t.Helper()
	s := &sharing{memoryStore: c, registry: prometheus.NewPedanticRegistry()}
	if c.members == nil {
		c.members = map[string]time.Time{}
	}
	s.list = token.NewRevocations(0, s.registry)
	var err error
	s.SharedRevocations, err = token.NewSharedRevocations(token.SharedRevocationsOptions{
		List: s.list, Store: c, TTL: time.Hour, Registerer: s.registry,
		Enforce: func(fresh []token.Revocation) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.enforced = append(s.enforced, fresh)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the node until the test ends.
func (s *sharing) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if problems, err := testutil.GatherAndLint(s.registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

// rounds takes the calls of Enforce, as numbers of revocations; -1 means too many to list.
func (s *sharing) rounds() (counts []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fresh := range s.enforced {
		if fresh == nil {
			counts = append(counts, -1)
			continue
		}
		counts = append(counts, len(fresh))
	}
	s.enforced = nil
	return counts
}

func TestSharedRevocations_readAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := time.Now().Add(time.Hour)
		s := newSharing(t, &memoryStore{members: map[string]time.Time{
			`{"jti":"one"}`: later,
			fmt.Sprintf(`{"user":%q,"before":%d}`, me, time.Now().Unix()): later,
			`{"jti":"over"}`: time.Now(),
			"nonsense":       later,
			`{"jti":"` + strings.Repeat("x", 3000) + `"}`: later,
		}})
		if s.Current() {
			t.Error("current before it was read")
		}
		s.run(t)
		<-s.Tried()
		if !s.Current() || s.list.Len() != 2 || !s.list.Check(&token.Claims{TokenID: "one"}) {
			t.Errorf("current %v with %d revocations", s.Current(), s.list.Len())
		}
		synctest.Wait()
		if got := s.rounds(); !slices.Equal(got, []int{2}) {
			t.Errorf("enforced %v", got)
		}
		if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocations_malformed"); n != 2 {
			t.Errorf("%v are malformed", n)
		}
	})
}

func TestSharedRevocations_receive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, &memoryStore{})
		s.run(t)
		for range 2 { // the second time it is known
			if err := s.Receive([]byte(`{"jti":"one"}`)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := s.rounds(); !slices.Equal(got, []int{1}) {
			t.Errorf("enforced %v", got)
		}
		for _, message := range []string{
			``, `{}`, `[]`, `{"jti":7}`, `{"user":"x"}`,
			`{"jti":"` + strings.Repeat("x", 5000) + `"}`,
		} {
			if err := s.Receive([]byte(message)); err == nil {
				t.Errorf("%.20s is understood", message)
			}
		}
		time.Sleep(time.Hour) // the lifetime of a revocation without an end
		if s.list.Check(&token.Claims{TokenID: "one"}) {
			t.Error("it counts too long")
		}
		for i := range 3000 { // too many to list
			if err := s.Receive(fmt.Appendf(nil, `{"jti":"%d"}`, i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := s.rounds(); len(got) == 0 || s.list.Check(&token.Claims{TokenID: "one"}) || !s.list.Check(
			&token.Claims{TokenID: "2999"},
		) {
			t.Errorf("enforced %v", got)
		}
	})
}

// A revocation of another node must be in the list before Run looks for it. The list is busy, so that Run would be
// first.
func TestSharedRevocations_enforcesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, &memoryStore{})
		for i := range 1000 {
			known := token.Revocation{TokenID: fmt.Sprint("known", i), Until: time.Now().Add(time.Hour)}
			if _, err := s.list.Add(known); err != nil {
				t.Fatal(err)
			}
		}
		s.run(t)
		for i := range 10 {
			synctest.Wait()
			go s.list.All()
			runtime.Gosched()
			if err := s.Receive(fmt.Appendf(nil, `{"jti":"%d"}`, i)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := s.rounds(); !slices.Equal(got, []int{1}) {
				t.Fatalf("enforced %v", got)
			}
		}
	})
}

// TestSharedRevocations_storeAway checks that a revocation reaches a store that was unavailable.
func TestSharedRevocations_storeAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, &memoryStore{away: true})
		s.run(t)
		<-s.Tried()
		if s.Current() {
			t.Error("current without a store")
		}
		one := token.Revocation{TokenID: "one", Until: time.Now().Add(time.Hour)}
		short := token.Revocation{TokenID: "short", Until: time.Now().Add(time.Second)}
		for _, r := range []token.Revocation{one, one, short} {
			if err := s.Share(t.Context(), r); !errors.Is(err, token.ErrNotShared) {
				t.Errorf("shared: %v", err)
			}
		}
		if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocations_unsaved"); n != 2 {
			t.Errorf("%v wait", n)
		}
		time.Sleep(5 * time.Second)
		s.memoryStore.mu.Lock()
		s.away, s.members[`{"jti":"of others"}`] = false, one.Until
		s.memoryStore.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		message, _ := json.Marshal(one)
		s.memoryStore.mu.Lock()
		defer s.memoryStore.mu.Unlock()
		if !slices.Equal(s.notified, []string{string(message)}) || !s.members[`{"jti":"one"}`].Equal(one.Until) {
			t.Errorf("notified %v, kept %v", s.notified, s.members)
		}
		if !s.Current() || !s.list.Check(&token.Claims{TokenID: "of others"}) {
			t.Error("it was not read again")
		}
		if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocations_unsaved"); n != 0 {
			t.Errorf("%v wait", n)
		}
	})
}

// TestSharedRevocations_readOnly checks that a node without write permission reads the revocations of others.
func TestSharedRevocations_readOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := time.Now().Add(time.Hour)
		s := newSharing(t, &memoryStore{closed: true, members: map[string]time.Time{`{"jti":"one"}`: later}})
		if err := s.Share(t.Context(), token.Revocation{TokenID: "own", Until: later}); !errors.Is(err, token.ErrNotShared) {
			t.Errorf("shared: %v", err)
		}
		s.run(t)
		<-s.Tried()
		if !s.Current() || !s.list.Check(&token.Claims{TokenID: "one"}) {
			t.Error("what others revoked is not known")
		}
	})
}

// TestSharedRevocations_storeEmptied checks that a store that lost its data gets every revocation back, once.
func TestSharedRevocations_storeEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := time.Now().Add(time.Hour).Truncate(time.Second)
		members := map[string]time.Time{
			`{"jti":"one"}`:                later,
			fmt.Sprintf(`{"user":%q}`, me): later,
			fmt.Sprintf(`{"user":%q,"before":%d}`, me, later.Unix()): later,
		}
		s := newSharing(t, &memoryStore{members: maps.Clone(members)})
		s.run(t)
		synctest.Wait()
		if len(s.notified) != 0 {
			t.Errorf("notified %v", s.notified)
		}
		s.memoryStore.mu.Lock()
		clear(s.members)
		s.memoryStore.mu.Unlock()
		s.Reread()
		s.Reread()
		synctest.Wait()
		if !maps.EqualFunc(s.members, members, time.Time.Equal) || len(s.notified) != len(members) {
			t.Errorf("kept %v, notified %v", s.members, s.notified)
		}
	})
}

// TestSharedRevocations_reread checks that the store is read at once when messages may have been missed, and
// periodically.
func TestSharedRevocations_reread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, &memoryStore{})
		s.run(t)
		reads := func(want int) {
			t.Helper()
			synctest.Wait()
			s.memoryStore.mu.Lock()
			defer s.memoryStore.mu.Unlock()
			if s.reads != want {
				t.Errorf("%d readings, want %d", s.reads, want)
			}
		}
		reads(1)
		s.Reread()
		reads(2)
		time.Sleep(9 * time.Second)
		reads(2)
		time.Sleep(time.Second)
		reads(3)
		s.set(true)
		time.Sleep(13500 * time.Millisecond) // one after ten seconds, and then each second
		reads(7)
		for result, want := range map[string]float64{"ok": 3, "failed": 4} {
			if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocation_readings_total/"+result); n != want {
				t.Errorf("%v readings are counted as %s, want %v", n, result, want)
			}
		}
	})
}

func TestSharedRevocations_tooManyUnsaved(t *testing.T) {
	s := newSharing(t, &memoryStore{away: true})
	until := time.Now().Add(time.Hour)
	for i := range 10_000 {
		if err := s.Share(
			t.Context(), token.Revocation{TokenID: fmt.Sprint(i), Until: until},
		); !errors.Is(err, token.ErrNotShared) {
			t.Fatal(err)
		}
	}
	if err := s.Share(
		t.Context(), token.Revocation{TokenID: "more", Until: until},
	); !errors.Is(err, token.ErrNeverShared) {
		t.Error(err)
	}
	if err := s.Share(t.Context(), token.Revocation{TokenID: "7", Until: until}); !errors.Is(err, token.ErrNotShared) {
		t.Errorf("one that waits already: %v", err)
	}
	for name, want := range map[string]float64{
		"shared_total/lost": 1, "shared_total/failed": 10_002, "shared_total/ok": 0, "unsaved": 10_000,
		"unsaved_capacity": 10_000,
	} {
		if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocations_"+name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
}

// More revocations than a call can list end in a check of everything, and the next one is listed again.
func TestSharedRevocations_enforceEverythingOfTooMany(t *testing.T) {
	for name, test := range map[string]struct {
		received int
		want     []int
	}{"AsManyAsFit": {1000, []int{1000}}, "TooMany": {1001, []int{-1}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSharing(t, &memoryStore{})
				receive := func(id int) {
					if err := s.Receive(fmt.Appendf(nil, `{"jti":"%d"}`, id)); err != nil {
						t.Fatal(err)
					}
				}
				for i := range test.received {
					receive(i)
				}
				s.run(t)
				synctest.Wait()
				if got := s.rounds(); !slices.Equal(got, test.want) {
					t.Errorf("enforced %v, want %v", got, test.want)
				}
				receive(5000)
				synctest.Wait()
				if got := s.rounds(); !slices.Equal(got, []int{1}) {
					t.Errorf("then enforced %v", got)
				}
			})
		})
	}
}

// A revocation that could not be stored is stored as soon as the store is back, not with the next periodic reading.
func TestSharedRevocations_storesSoonAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, &memoryStore{})
		s.run(t)
		synctest.Wait()
		s.set(true)
		one := token.Revocation{TokenID: "one", Until: time.Now().Add(time.Hour)}
		if err := s.Share(t.Context(), one); !errors.Is(err, token.ErrNotShared) {
			t.Error(err)
		}
		synctest.Wait()
		s.set(false)
		time.Sleep(1100 * time.Millisecond)
		s.memoryStore.mu.Lock()
		defer s.memoryStore.mu.Unlock()
		if len(s.members) != 1 {
			t.Errorf("%d are stored a second later", len(s.members))
		}
		if n := rtetest.MustReadMetric(t, s.registry, "rte_authz_revocations_shared_total/ok"); n != 1 {
			t.Errorf("%v are counted", n)
		}
	})
}

// A back end need not know of what was undone: its next revocation counts. An older one of another node does not. What
// the back end has stored itself is not stored a second time.
func TestSharedRevocations_receiveAfterUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, until := time.Now(), time.Now().Add(time.Hour)
		s := newSharing(t, &memoryStore{members: map[string]time.Time{`{"jti":"plain"}`: until}})
		s.run(t)
		if err := s.Receive([]byte(`{"jti":"plain"}`)); err != nil {
			t.Fatal(err)
		}
		s.Reread()
		synctest.Wait()
		if len(s.notified) != 0 {
			t.Errorf("stored again: %v", s.notified)
		}
		undone := token.Revocation{TokenID: "one", Undone: true, At: now, Until: until}
		if _, err := s.list.Add(undone); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			message string
			revoked bool
		}{
			{fmt.Sprintf(`{"jti":"one","at":%d}`, now.Unix()-1), false},
			{`{"jti":"one"}`, true},
		} {
			if err := s.Receive([]byte(step.message)); err != nil {
				t.Fatal(err)
			}
			if got := s.list.Check(&token.Claims{TokenID: "one"}); got != step.revoked {
				t.Errorf("after %s the token is revoked: %v", step.message, got)
			}
		}
	})
}
