package hub

import (
	"bytes"
	"context"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// Snapshots find the last states of topics: the hub does not import the backplane, which implements it. They may be
// used from any goroutine.
type Snapshots interface {
	// Snapshot calls apply, once or several times in turn, with topics and with the latest events of those topics that
	// have not expired: none, one, or several where a topic has several states. apply must not wait, and must not keep the
	// events or their Data. It is called between two events of a lane: events that were dispatched before are in the
	// snapshot, and events that are not in it are dispatched later.
	//
	// Lanes hold the topics. After an error, apply was not called for all of them.
	Snapshot(ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event)) error
}

// SnapshotOptions say which clients get the last states of what they subscribe to.
type SnapshotOptions struct {
	// Source has the last states for clients with Features.Snapshot. nil: no client gets any.
	Source Snapshots
	// ForAll also sends them to clients that did not ask.
	ForAll bool
}

// snapshotBytes bounds how much of a snapshot is held at a time, while a client takes it.
const snapshotBytes = 1 << 20

// replayFor prepares the snapshot of the subscriptions that a call adds, nil if there is none. The session commits it
// with the answer.
func (s *Session) replayFor(c *call) *fanout.Replay {
	options := &s.hub.options
	if options.Snapshots.Source == nil || !options.Snapshots.ForAll && !s.conn.Features().Snapshot {
		return nil
	}
	var entries []*fanout.Entry
	for i := range c.added {
		if d := options.Catalog.Definition(c.added[i].Entry.Topic().Type); d != nil && d.State() {
			c.stateful = append(c.stateful, c.added[i])
			entries = append(entries, c.added[i].Entry)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return fanout.NewReplay(entries)
}

// snapshot sends the last states of the subscriptions that a call added, behind its answer.
func (s *Session) snapshot(c *call) {
	n := &snapshot{wanted: make(map[events.Topic]fanout.Subscription, len(c.stateful))}
	for _, l := range c.stateful {
		topic := l.Entry.Topic()
		n.wanted[topic] = l
		n.left = append(n.left, topic)
	}
	m := s.hub.metrics
	for len(n.left) > 0 {
		before := len(n.left)
		err := n.find(c.ctx, s.hub)
		m.snapshotAnswered.Add(float64(before - len(n.left)))
		if err == nil || len(n.states) > 0 {
			// States that the client does not take in the time of a call are left out, as are states that are not found in
			// time.
			if sent := s.outbox.Replay(c.ctx, c.replay, n.states); err == nil {
				err = sent
			}
		}
		if err == nil && before > len(n.left) {
			continue
		}
		m.snapshotUnavailable.Add(float64(len(n.left)))
		s.hub.options.Logger.Debug("snapshot not complete", zap.Int("topics", len(n.left)), zap.Error(err))
		return
	}
}

// snapshot is the state of the search for the last states of new subscriptions.
type snapshot struct {
	wanted map[events.Topic]fanout.Subscription
	left   []events.Topic // not found yet
	states []fanout.State // of the others, unless they have been sent
}

// find looks for the states of the topics that are left until it has snapshotBytes of them.
func (n *snapshot) find(ctx context.Context, h *Hub) error {
	ctx, cancel := context.WithTimeout(ctx, h.options.Limits.Snapshot)
	defer cancel()
	requested := n.left
	n.left, n.states = nil, nil
	answered, size := make(map[events.Topic]bool, len(requested)), 0
	apply := func(topics []events.Topic, last []*events.Event) {
		begun := map[events.Topic]bool{} // topics of which a state was taken
		for _, topic := range topics {
			answered[topic] = true
		}
		for _, ev := range last {
			l, ok := n.wanted[ev.Topic]
			switch {
			case !ok:
			case size >= snapshotBytes && !begun[ev.Topic]:
				answered[ev.Topic] = false // next time
			default:
				begun[ev.Topic] = true
				kept := *ev
				kept.Data = bytes.Clone(ev.Data)
				size += len(kept.Data)
				n.states = append(n.states, fanout.State{Subscription: l, Event: &kept})
			}
		}
	}
	err := h.options.Snapshots.Source.Snapshot(ctx, requested, apply)
	for _, topic := range requested {
		if !answered[topic] {
			n.left = append(n.left, topic)
		}
	}
	return err
}
