package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/console"
)

// network are nodes that hear each other's announcements, unless it is away.
type network struct {
	nodes  []*peers
	away   atomic.Bool
	silent atomic.Pointer[peers] // hears nothing; nil: all do
	quiet  atomic.Bool           // all are silent
}

// join adds a node with a state.
func (w *network) join(t *testing.T, id string, state *atomic.Pointer[announcement]) *peers {
	t.Helper()
	p := newPeers(peersOptions{
		own: func() announcement { a := *state.Load(); a.Node = id; return a },
		send: func(_ context.Context, message []byte) error {
			if w.away.Load() {
				return context.DeadlineExceeded
			}
			for _, n := range w.nodes {
				if w.quiet.Load() || n == w.silent.Load() {
					continue
				}
				if err := n.receive(message); err != nil {
					t.Error(err)
				}
			}
			return nil
		},
		queue: func() int { return state.Load().Waiting },
		away:  w.away.Load, check: func(time.Time) {}, reg: prometheus.NewRegistry(),
	})
	w.nodes = append(w.nodes, p)
	return p
}

func TestPeers_holdBackWhileNodesAreDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w network
		var states [3]atomic.Pointer[announcement]
		ctx, stop := context.WithCancel(t.Context())
		for i := range states {
			states[i].Store(&announcement{State: console.StateReady, Connections: i})
			w.join(t, fmt.Sprint("node", i), &states[i])
		}
		a := w.nodes[0]
		expect := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := a.holds(); !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%s: holds back because of %q, want %q", when, got, want)
			}
		}
		expect("alone", "")
		for _, n := range w.nodes {
			go func() { _ = n.run(ctx) }()
		}
		time.Sleep(2 * time.Second)
		expect("all are ready", "")
		if n := len(a.list()); n != 2 {
			t.Fatalf("knows %d peers, want 2", n)
		}

		states[1].Store(&announcement{State: console.StateDegraded})
		time.Sleep(1100 * time.Millisecond)
		expect("a peer is degraded", "degraded")
		states[1].Store(&announcement{State: console.StateDraining})
		time.Sleep(1100 * time.Millisecond)
		expect("the degraded peer takes no clients", "")
		states[1].Store(&announcement{State: console.StateReady})
		states[2].Store(&announcement{State: console.StateDraining})
		time.Sleep(1100 * time.Millisecond)
		expect("one is ready, one stops", "")
		states[1].Store(&announcement{State: console.StateStarting})
		time.Sleep(1100 * time.Millisecond)
		expect("one starts, one stops", "starting")

		states[1].Store(&announcement{State: console.StateReady})
		states[2].Store(&announcement{State: console.StateReady, Waiting: 3})
		time.Sleep(1100 * time.Millisecond)
		expect("clients wait at a peer", "wait to come in at another node")
		states[2].Store(&announcement{State: console.StateReady})
		states[0].Store(&announcement{State: console.StateReady, Waiting: 1})
		time.Sleep(1100 * time.Millisecond)
		expect("clients wait here", "wait to come in at this node")
		states[0].Store(&announcement{State: console.StateReady})
		expect("nobody waits", "")
		w.away.Store(true)
		time.Sleep(time.Minute)
		expect("Redis is away", "Redis is away")
		if n := len(a.list()); n != 2 {
			t.Errorf("knows %d peers while it can hear none, want 2", n)
		}
		w.quiet.Store(true)
		w.away.Store(false)
		a.miss()
		expect("Redis is back", "silent")
		w.quiet.Store(false)
		time.Sleep(6 * time.Second)
		expect("all have announced themselves", "")

		w.nodes[1].leave()
		if n := len(a.list()); n != 1 {
			t.Errorf("knows %d peers after one has left, want 1", n)
		}
		stop()
		synctest.Wait()
		a.forget(time.Now().Add(forgetAfter + time.Second))
		if n := len(a.list()); n != 0 {
			t.Errorf("knows %d peers after a long silence", n)
		}
	})
}

func TestPeers_refuseWhatIsNoAnnouncement(t *testing.T) {
	var w network
	var state atomic.Pointer[announcement]
	state.Store(&announcement{State: console.StateReady})
	p := w.join(t, "a", &state)
	for _, message := range []string{
		"", "x", "[]", `{"node":"b"}`, `{"state":"ready"}`, `{"node":"b","state":"well"}`,
		`{"node":"b","state":"ready","connections":-1}`, `{"node":"b","state":"ready","waiting":-1}`,
		`{"node":"` + strings.Repeat("b", 2000) + `","state":"ready"}`, `{"node":"b","state":"ready","waiting":"many"}`,
		`{"node":"b","state":"ready","relay":"no address"}`,
	} {
		if p.receive([]byte(message)) == nil {
			t.Errorf("took %.50q", message)
		}
	}
	for i := range 2 * maxPeers {
		text, err := json.Marshal(announcement{Node: fmt.Sprint(i), State: console.StateReady})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.receive(text); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.list()); n != maxPeers {
		t.Errorf("knows %d peers, want %d", n, maxPeers)
	}
	p.forget(time.Now())
	if n := testutil.ToFloat64(p.metrics[console.StateReady]); n != maxPeers {
		t.Errorf("counts %v peers", n)
	}
}

// A node that was killed does not leave. For 15 seconds it was listed with its last state, such as ready.
func TestPeers_showWhoIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w network
		var state atomic.Pointer[announcement]
		state.Store(&announcement{State: console.StateReady, Connections: 7})
		here, other := w.join(t, "here", &state), w.join(t, "other", &state)
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		go func() { _ = other.run(ctx) }()
		for _, step := range []struct {
			wait, age time.Duration
			state     string
		}{
			{12 * time.Second, time.Second, console.StateReady},
			{6 * time.Second, 7 * time.Second, console.StateReady}, // killed before
			{2 * time.Second, 9 * time.Second, console.StateSilent},
			{7 * time.Second, 0, ""},
		} {
			time.Sleep(step.wait)
			synctest.Wait()
			kill()
			here.forget(time.Now())
			want := []console.PeerNode{{
				ID: "other", State: step.state, Connections: 7, SilentSeconds: step.age.Seconds(),
			}}
			if step.state == "" {
				want = []console.PeerNode{}
			}
			if diff := cmp.Diff(want, here.views(time.Now())); diff != "" {
				t.Errorf("%s after the announcement (-want +got):\n%s", step.age, diff)
			}
		}
	})
}

// A starting node announced itself before it heard the others. Their answers were lost: for up to five seconds it did
// not know them, and refused clients that it should have passed on to them.
func TestPeers_findOthersThatAnsweredTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w network
		var state atomic.Pointer[announcement]
		state.Store(&announcement{State: console.StateReady})
		ctx, stop := context.WithCancel(t.Context())
		running := w.join(t, "running", &state)
		starting := w.join(t, "starting", &state)
		w.silent.Store(starting)
		for _, n := range []*peers{running, starting} {
			go func() { _ = n.run(ctx) }()
		}
		starting.requested.Set()
		synctest.Wait()
		if len(running.list()) != 1 || len(starting.list()) != 0 {
			t.Fatalf("know %v and %v", running.list(), starting.list())
		}

		w.silent.Store(nil)
		starting.miss()
		synctest.Wait()
		if len(starting.list()) != 1 {
			t.Error("does not know the other node")
		}
		stop()
		synctest.Wait()
	})
}
