package node

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rte-server/rte-server/internal/console"
)

// modelPeers keeps the last announcement of each node in the order in which the nodes came.
type modelPeers struct {
	known  []peer
	missed time.Time
	away   bool
	queue  int
}

func (m *modelPeers) drop(gone func(p *peer) bool) {
	m.known = slices.DeleteFunc(m.known, func(p peer) bool { return gone(&p) })
}

// receive reports whether this node answers at once.
func (m *modelPeers) receive(a announcement) (answers bool) {
	if a.Node == "own" {
		return false
	}
	if a.State == stateGone {
		m.drop(func(p *peer) bool { return p.Node == a.Node })
		return false
	}
	i := slices.IndexFunc(m.known, func(p peer) bool { return p.Node == a.Node })
	if i < 0 {
		m.known = append(m.known, peer{a, time.Now()})
		return true
	}
	m.known[i] = peer{a, time.Now()}
	return a.Requests
}

// reasons returns all reasons to send no clients to other nodes.
func (m *modelPeers) reasons() (all []string) {
	if m.away {
		return []string{"Redis is away"}
	}
	if m.queue > 0 {
		return []string{"clients wait to come in at this node"}
	}
	ready, starting := false, false
	for i := range m.known {
		p := &m.known[i]
		switch {
		case p.State == console.StateDegraded:
			all = append(all, "another node is degraded")
		case p.Waiting > 0:
			all = append(all, "clients wait to come in at another node")
		case p.State == console.StateReady && p.seen.Before(m.missed) && time.Since(m.missed) < silentFor:
			all = append(all, "another node has been silent since Redis was away")
		}
		ready = ready || p.State == console.StateReady && p.Waiting == 0
		starting = starting || p.State == console.StateStarting && p.Waiting == 0
	}
	if len(all) == 0 && !ready && starting {
		all = append(all, "the other nodes are starting")
	}
	return all
}

func (m *modelPeers) views() []console.PeerNode {
	views := []console.PeerNode{}
	for i := range m.known {
		p := &m.known[i]
		age := time.Since(p.seen)
		view := console.PeerNode{
			ID: p.Node, State: p.State, Connections: p.Connections, SilentSeconds: age.Round(time.Millisecond).Seconds(),
		}
		if age > silentFor {
			view.State = console.StateSilent
		}
		views = append(views, view)
	}
	slices.SortFunc(views, func(a, b console.PeerNode) int { return strings.Compare(a.ID, b.ID) })
	return views
}

// TestPeers_agreeWithModel compares what a node knows of the others with a model, after each of many random
// announcements, pauses and outages of Redis.
func TestPeers_agreeWithModel(t *testing.T) {
	states := []string{
		console.StateStarting, console.StateReady, console.StateReady, console.StateReady, console.StateDegraded,
		console.StateDraining, stateGone,
	}
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random, m := rand.New(rand.NewPCG(seed, 0)), &modelPeers{}
			p := newPeers(peersOptions{
				own:  func() announcement { return announcement{Node: "own", State: console.StateReady} },
				away: func() bool { return m.away }, queue: func() int { return m.queue }, reg: prometheus.NewRegistry(),
			})
			for step := range 300 {
				switch random.IntN(10) {
				case 0:
					m.away = random.IntN(3) == 0
				case 1:
					if m.queue = 0; random.IntN(4) == 0 {
						m.queue = 1
					}
				case 2:
					if random.IntN(3) == 0 {
						m.missed = time.Now()
						if p.miss(); !p.takeRequests() || p.takeRequests() || !isSet(p) {
							t.Errorf("seed %d, step %d: others are not requested to answer, once", seed, step)
						}
					}
				case 3, 4:
					time.Sleep(time.Duration(random.IntN(6000)) * time.Millisecond)
				case 5:
					if m.away {
						m.missed = time.Now()
					}
					m.drop(func(p *peer) bool {
						return time.Since(p.seen) > forgetAfter && time.Since(m.missed) > forgetAfter
					})
					p.forget(time.Now())
					for state, gauge := range p.metrics {
						want := 0
						for i := range m.known {
							if m.known[i].State == state {
								want++
							}
						}
						if n := testutil.ToFloat64(gauge); n != float64(want) {
							t.Errorf("seed %d, step %d: %v are counted as %s, want %d", seed, step, n, state, want)
						}
					}
				default:
					a := announcement{
						Node: fmt.Sprint("node", random.IntN(4)), State: states[random.IntN(len(states))],
						Connections: random.IntN(9), Requests: random.IntN(4) == 0,
					}
					if random.IntN(8) == 0 {
						a.Waiting = 1
					}
					if random.IntN(8) == 0 {
						a.Node = "own"
					}
					message, err := json.Marshal(a)
					if err != nil {
						t.Fatal(err)
					}
					if err := p.receive(message); err != nil {
						t.Fatal(err)
					}
					if answers, want := isSet(p), m.receive(a); answers != want {
						t.Errorf("seed %d, step %d: answers %+v at once: %v", seed, step, a, answers)
					}
				}
				if diff := cmp.Diff(m.views(), p.views(time.Now())); diff != "" {
					t.Fatalf("seed %d, step %d: %s", seed, step, diff)
				}
				if list := p.list(); len(list) != len(m.known) || !slices.Equal(names(list), p.names()) {
					t.Fatalf("seed %d, step %d: lists %+v, names %v", seed, step, list, p.names())
				}
				reasons, got := m.reasons(), p.holds()
				if !slices.Contains(reasons, got) && (got != "" || len(reasons) > 0) {
					t.Fatalf("seed %d, step %d: holds back because of %q, want one of %q", seed, step, got, reasons)
				}
			}
		})
	}
}

// isSet reports whether the node announces itself at once.
func isSet(p *peers) bool {
	select {
	case <-p.requested.C():
		return true
	default:
		return false
	}
}

func names(list []announcement) (all []string) {
	for i := range list {
		all = append(all, list[i].Node)
	}
	return all
}
