package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	// announceInterval is the time between two announcements of a node whose state does not change, checkInterval the
	// time between two looks at its state.
	announceInterval = 5 * time.Second
	checkInterval    = time.Second
	// queueInterval is the time between two looks at the clients that wait for the admission rate.
	queueInterval = checkInterval / 4
	// forgetAfter is how long a peer may be silent before it counts as gone.
	forgetAfter = 3 * announceInterval
	// silentFor is how long a peer may be silent before its state is not known, also after messages were missed.
	silentFor = announceInterval + announceInterval/2
	// announceTimeout bounds the sending of an announcement, leaveTimeout that of the last one.
	announceTimeout = 2 * time.Second
	leaveTimeout    = 500 * time.Millisecond
	// maxPeers is the largest number of peers, and maxAnnouncement the largest announcement in bytes.
	maxPeers        = 1000
	maxAnnouncement = 1 << 10
)

// stateGone is the last state that a node announces. The others are those of console.Report.
const stateGone = "gone"

// announcement is the message by which nodes know of each other.
type announcement struct {
	Node        string `json:"node"`
	State       string `json:"state"`
	Connections int    `json:"connections"`
	Waiting     int    `json:"waiting,omitempty"` // clients that wait for admission.rate
	Relay       string `json:"relay,omitempty"`   // address of its relay port; empty: it has none
	Requests    bool   `json:"requests,omitempty"`
}

// peer is another node.
type peer struct {
	announcement

	seen time.Time
}

// peersOptions configure peers.
type peersOptions struct {
	own   func() announcement // what this node announces
	send  func(ctx context.Context, message []byte) error
	away  func() bool           // this node hears nothing from others
	queue func() int            // number of clients that wait for the admission rate of this node
	check func(now time.Time)   // called once per checkInterval
	reg   prometheus.Registerer // of the metrics
}

// peers are the other nodes as this node knows them. Its methods may be called from any goroutine.
type peers struct {
	options   peersOptions
	metrics   map[string]prometheus.Gauge // by state
	requested wakeup.Signal               // set to announce at once

	mu       sync.Mutex
	known    map[string]*peer // guarded by mu
	missed   time.Time        // guarded by mu: when messages may have been missed last
	requests bool             // guarded by mu: the next announcement requests those of the others
}

func newPeers(o peersOptions) *peers {
	p := &peers{options: o, requested: wakeup.New(), known: map[string]*peer{}, metrics: map[string]prometheus.Gauge{}}
	states := promauto.With(o.reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "rte_node_peers",
		Help: "Other nodes that this node knows of, by state.",
	}, []string{"state"})
	for _, state := range []string{
		console.StateStarting, console.StateReady, console.StateDegraded, console.StateDraining,
	} {
		p.metrics[state] = states.WithLabelValues(state)
	}
	return p
}

// run announces this node and forgets silent peers until ctx ends.
func (p *peers) run(ctx context.Context) error {
	ticker, queue := time.NewTicker(checkInterval), time.NewTicker(queueInterval)
	defer ticker.Stop()
	defer queue.Stop()
	var last announcement
	var sent time.Time
	for {
		requested := false
		select {
		case <-ctx.Done():
			return nil
		case <-p.requested.C():
			requested = true
		case <-queue.C:
			if requested = (p.options.queue() > 0) != (last.Waiting > 0); !requested {
				continue
			}
		case <-ticker.C:
		}
		now, own := time.Now(), p.options.own()
		changed := own.State != last.State || (own.Waiting > 0) != (last.Waiting > 0)
		if requested || changed || now.Sub(sent) >= announceInterval {
			own.Requests = p.takeRequests()
			p.announce(ctx, own, announceTimeout)
			last, sent = own, now
		}
		p.forget(now)
		p.options.check(now)
	}
}

// leave announces that this node has gone.
func (p *peers) leave() {
	own := p.options.own()
	own.State = stateGone
	p.announce(context.Background(), own, leaveTimeout)
}

// announce sends an announcement. An error needs no report: others notice the silence, and Redis that is away has
// metrics of its own.
func (p *peers) announce(ctx context.Context, a announcement, limit time.Duration) {
	message, err := json.Marshal(a)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = p.options.send(ctx, message)
}

// receive takes an announcement of any node.
func (p *peers) receive(message []byte) error {
	var a announcement
	valid := len(message) <= maxAnnouncement && json.Unmarshal(message, &a) == nil
	if !valid || a.Node == "" || a.Connections < 0 || a.Waiting < 0 || !isRelay(a.Relay) {
		return errors.New("node: not an announcement")
	}
	switch a.State {
	case console.StateStarting, console.StateReady, console.StateDegraded, console.StateDraining, stateGone:
	default:
		return errors.New("node: unknown state")
	}
	if a.Node == p.options.own().Node {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.Requests && a.State != stateGone {
		p.requested.Set()
	}
	before := p.known[a.Node]
	switch {
	case a.State == stateGone:
		delete(p.known, a.Node)
	case before != nil:
		before.announcement, before.seen = a, time.Now()
	case len(p.known) < maxPeers:
		p.known[a.Node] = &peer{a, time.Now()}
		p.requested.Set() // a new node knows none of the others
	}
	return nil
}

// miss is called when announcements may have been missed.
func (p *peers) miss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.missed, p.requests = time.Now(), true
	p.requested.Set()
}

// takeRequests reports whether messages may have been missed since the announcement before. A node announces itself
// before it hears the others: their answers to its first announcement are lost.
func (p *peers) takeRequests() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	requests := p.requests
	p.requests = false
	return requests
}

// forget removes peers that have been silent for too long, unless this node could not hear them, and counts the others.
func (p *peers) forget(now time.Time) {
	away := p.options.away()
	p.mu.Lock()
	defer p.mu.Unlock()
	if away {
		p.missed = now
	}
	maps.DeleteFunc(p.known, func(_ string, peer *peer) bool {
		latest := peer.seen
		if p.missed.After(latest) {
			latest = p.missed
		}
		return now.Sub(latest) > forgetAfter
	})
	count := map[string]int{}
	for _, peer := range p.known {
		count[peer.State]++
	}
	for state, gauge := range p.metrics {
		gauge.Set(float64(count[state]))
	}
}

// names returns the ids of the peers.
func (p *peers) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.known))
}

// list returns the peers in the order of their ids.
func (p *peers) list() []announcement {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]announcement, 0, len(p.known))
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		list = append(list, p.known[id].announcement)
	}
	return list
}

// views returns the peers in the order of their ids, for operators. The state of one whose announcement is overdue is
// not known: a node that was killed does not leave.
func (p *peers) views(now time.Time) []console.PeerNode {
	p.mu.Lock()
	defer p.mu.Unlock()
	views := make([]console.PeerNode, 0, len(p.known))
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		peer, age := p.known[id], now.Sub(p.known[id].seen)
		view := console.PeerNode{
			ID: id, State: peer.State, Connections: peer.Connections, SilentSeconds: age.Round(time.Millisecond).Seconds(),
		}
		if age > silentFor {
			view.State = console.StateSilent
		}
		views = append(views, view)
	}
	return views
}

// holds returns why clients should not be sent to other nodes now; empty if there is no reason. Without other nodes
// there is none: clients return to this one when it has started again.
func (p *peers) holds() string {
	switch {
	case p.options.away():
		return "Redis is away"
	case p.options.queue() > 0:
		return "clients wait to come in at this node"
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	ready, starting := 0, 0
	for _, peer := range p.known {
		switch {
		case peer.State == console.StateDegraded:
			return "another node is degraded"
		case peer.Waiting > 0:
			return "clients wait to come in at another node"
		case peer.State == console.StateReady:
			ready++
			if peer.seen.Before(p.missed) && now.Sub(p.missed) < silentFor {
				return "another node has been silent since Redis was away"
			}
		case peer.State == console.StateStarting:
			starting++
		}
	}
	if ready == 0 && starting > 0 {
		return "the other nodes are starting"
	}
	return ""
}
