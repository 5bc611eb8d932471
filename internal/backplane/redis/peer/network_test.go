package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// network connects the exchanges of several nodes that have the same lanes. A message takes no time.
type network struct {
	t     *testing.T
	nodes []*member
	lose  func(m Message, to *member) bool // the message does not reach the node
	fail  func(m Message) bool             // the message cannot be published
	twice bool                             // each part of an answer arrives twice

	late time.Duration // for messages of a lane, of which each node has a connection of its own

	unconfirmed atomic.Bool // no subscription of a node is confirmed

	mu    sync.Mutex
	sent  []events.Event // guarded by mu; published on lane 0, in their order
	parts map[string]int // guarded by mu; parts of answers with events, by their node
}

// member is a node of a network.
type member struct {
	*Exchange

	net     *network
	lanes   []*netLane
	missed  func()
	knows   bool // it has received all events
	channel string
	inbox   chan func() // of the worker
	began   time.Time
	offers  int // of the worker

	mu      sync.Mutex
	answers []sequence.Answer // guarded by mu
	took    []time.Duration   // guarded by mu
}

type netLane struct {
	name string
	Conversation
}

func (l *netLane) Name() string { return l.name }

// newNetwork starts nodes with a lane each. Call it in a synctest bubble. The nodes end with the test.
func newNetwork(t *testing.T, nodes, lanes int) *network {
	net := &network{t: t, parts: map[string]int{}}
	net.lose = func(Message, *member) bool { return false }
	net.fail = func(Message) bool { return false }
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for number := range nodes {
		n := &member{net: net, inbox: make(chan func(), 10_000)}
		for lane := range lanes {
			n.lanes = append(n.lanes, &netLane{name: fmt.Sprintf("lane %d", lane)})
		}
		n.Exchange = NewExchange(Options{
			Node:   events.NewID().String(),
			Prefix: "prefix:",
			// The nodes are ready one after the other, each time in another order, so only one of them answers.
			Jitter: func(longest time.Duration) time.Duration {
				n.offers++
				return longest * time.Duration((number+n.offers)%nodes) / time.Duration(nodes)
			},
			Find: func(name string) Lane {
				for _, l := range n.lanes {
					if l.name == name {
						return l
					}
				}
				return nil
			},
			Received: func(l Lane, p *Part) {
				n.inbox <- func() { n.take(l.(*netLane).Part(n.Exchange, l, p, n.decode)) }
			},
			Unanswered: func(_ Lane, a sequence.Answer) { n.take(&a) },
			Subscribe: func(channel string, _ func([]byte), missed func()) func() bool {
				n.channel, n.missed = channel, missed
				if channel != "prefix:peer:"+n.options.Node {
					t.Errorf("the channel is %s", channel)
				}
				return func() bool { return !net.unconfirmed.Load() }
			},
			Publish: net.publish,
		})
		net.nodes = append(net.nodes, n)
		ended.Go(func() { n.Run(ctx) })
		ended.Go(func() {
			for do := range n.inbox {
				do()
			}
		})
	}
	t.Cleanup(func() {
		stop()
		synctest.Wait()
		for _, n := range net.nodes {
			close(n.inbox)
		}
		ended.Wait()
	})
	synctest.Wait()
	return net
}

func (net *network) publish(_ context.Context, messages []Message) {
	for i := range messages {
		m := &messages[i]
		if net.fail(*m) {
			m.Err = errors.New("cannot be published")
			continue
		}
		for _, n := range net.nodes {
			onLane := m.Channel == "lane 0" || m.Channel == "lane 1"
			if !onLane && m.Channel != n.channel {
				continue
			}
			m.Receivers++
			if net.lose(*m, n) {
				continue
			}
			if p, ok := parsePart(m.Payload); !onLane && ok && !p.Unknown {
				net.mu.Lock()
				net.parts[p.By]++
				net.mu.Unlock()
			}
			if onLane && net.late > 0 {
				channel, payload := m.Channel, m.Payload
				time.AfterFunc(net.late, func() { n.arrive(channel, payload) })
				continue
			}
			n.arrive(m.Channel, m.Payload)
			if p, ok := parsePart(m.Payload); net.twice && ok && !p.Unknown {
				n.arrive(m.Channel, m.Payload)
			}
		}
	}
}

// arrive lets the worker take a message, in a buffer that gets the next message afterwards.
func (n *member) arrive(channel string, text []byte) {
	payload := bytes.Clone(text)
	n.inbox <- func() {
		if channel == n.channel {
			n.receive(payload)
		} else {
			n.onLane(channel, payload)
		}
		for i := range payload {
			payload[i] = 'x'
		}
	}
}

func (n *member) onLane(name string, payload []byte) {
	l := n.options.Find(name).(*netLane)
	n.take(l.Message(n.Exchange, l, payload, time.Now(), n.known))
}

// known returns the events that a query asks for, in the form in which peers pass them on.
func (n *member) known(q *Query) (data [][]byte, ok bool) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	after := q.Known == ""
	if after && q.Since != (backplane.StreamID{Milliseconds: 7}).String() {
		n.net.t.Errorf("asked for the events since %q", q.Since)
	}
	for _, ev := range n.net.sent {
		if after {
			data = append(data, ev.Data)
		}
		after = after || ev.ID.String() == q.Known
	}
	return data, n.knows && after
}

func (n *member) decode(data []byte) (events.Event, bool) {
	id, ok := events.ParseID(data[:events.IDLen])
	return events.Event{ID: id, Data: data}, ok
}

func (n *member) take(a *sequence.Answer) {
	if a == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = append(n.answers, *a)
	n.took = append(n.took, time.Since(n.began))
}

// send adds an event of some size to what the nodes know.
func (net *network) send(size int) events.ID {
	id := events.NewID()
	data := append([]byte(id.String()), bytes.Repeat([]byte{byte(len(net.sent))}, size)...)
	net.mu.Lock()
	defer net.mu.Unlock()
	net.sent = append(net.sent, events.Event{ID: id, Data: data})
	return id
}

// request lets a node ask for the events after one, and returns its only answer and how long that took.
func (n *member) request(known events.ID, generation uint64) (sequence.Answer, time.Duration) {
	n.net.t.Helper()
	n.began, n.answers, n.took = time.Now(), nil, nil
	read := sequence.Read{Peers: true, Known: known, Generation: generation}
	if known == (events.ID{}) {
		read.Since = backplane.StreamID{Milliseconds: 7}
	}
	n.Query(n.lanes[0], read)
	time.Sleep(5 * patience)
	synctest.Wait()
	for _, of := range n.net.nodes {
		of.mu.Lock()
		if waiting := len(of.waiting) + len(of.queries) + len(of.Exchange.answers) + of.bytes; waiting > 0 {
			n.net.t.Errorf("%d waits, %d queries, %d answers, %d bytes are left",
				len(of.waiting), len(of.queries), len(of.Exchange.answers), of.bytes)
		}
		of.mu.Unlock()
	}
	if len(n.answers) != 1 || n.answers[0].Generation != generation {
		n.net.t.Fatalf("got the answers %+v, want one of generation %d", n.answers, generation)
	}
	return n.answers[0], n.took[0]
}
