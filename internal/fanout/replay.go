package fanout

import (
	"context"
	"errors"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/wakeup"
)

// ErrEnded is the error of a replay after the dispatcher has stopped.
var ErrEnded = errors.New("fanout has ended")

// Replay sends older state events to subscriptions that one Change begins. A subscription receives each of them before
// anything newer, and none that it also receives as it is dispatched. The shard watches the topics for that purpose
// until EndReplay. An outbox has one Replay at a time.
type Replay struct {
	// Static after construction.
	entries []*Entry
	taken   wakeup.Signal // set when a batch was taken and the socket is not full

	// Owned by the shard.
	since   uint64          // number of the last event before the subscriptions began
	removed map[*Entry]bool // the subscriptions that have ended meanwhile; nil: none
	waits   bool            // a batch was taken, but the socket is full
}

// NewReplay returns a Replay for subscriptions to entries.
func NewReplay(entries []*Entry) *Replay { return &Replay{entries: entries, taken: wakeup.New()} }

// State is a state event from before the subscription that is to receive it.
type State struct {
	Subscription
	// Event and its Data are not used any more once Outbox.Replay has returned.
	Event *events.Event
}

// Replay sends states to subscriptions of r, which must have been part of a Change of this outbox. The states must have
// been looked up after that Change. Replay waits for the client: it sends at most one write's worth before the socket
// has taken it. It returns the error of ctx when that ends, and ErrEnded when the dispatcher stops.
func (o *Outbox) Replay(ctx context.Context, r *Replay, states []State) error {
	var batch []*command
	var size int
	for i := range states {
		c, err := o.replayCommand(r, &states[i])
		if err != nil {
			o.shard.metrics.replays[replayMalformed].Inc()
			continue
		}
		b := c.broadcast
		if o.shard.held.contains(b.entry.Organization(), stateKey{b.entry, b.key}) {
			o.shard.metrics.replays[replaySuperseded].Inc() // the held state will be sent instead
			continue
		}
		if len(batch) > 0 && batch[0].broadcast.entry.Organization() != b.entry.Organization() {
			if err := o.replayBatch(ctx, r, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch = append(batch, c)
		if size += len(b.frame(o.protocol).Bytes); size >= o.shard.options.Outbox.WriteBytes {
			if err := o.replayBatch(ctx, r, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	return o.replayBatch(ctx, r, batch)
}

// EndReplay ends a replay: states that are still under way are dropped. Call it once for each Replay that was part of a
// Change.
func (o *Outbox) EndReplay(r *Replay) {
	o.shard.inbox.put(&command{kind: commandEndReplay, outbox: o, replay: r})
}

// replayCommand encodes a state for this outbox.
func (o *Outbox) replayCommand(r *Replay, st *State) (*command, error) {
	options := o.shard.options
	b := &broadcast{entry: st.Entry, expires: options.Expires(st.Event)}
	encoder := options.JSON
	if o.protocol.Plain() == ProtocolMessagePack {
		encoder = options.MessagePack
	}
	frame, err := encoder.Encode(st.Event)
	if err != nil {
		return nil, err
	}
	if o.protocol != o.protocol.Plain() {
		frame = options.Deflate(frame)
	}
	b.setFrame(o.protocol, frame)
	b.key, b.state = options.State(st.Event)
	return &command{kind: commandReplay, outbox: o, broadcast: b, replay: r, id: st.ID}, nil
}

// replayBatch puts states of one organization into the inbox and waits until the socket has taken them.
func (o *Outbox) replayBatch(ctx context.Context, r *Replay, batch []*command) error {
	if len(batch) == 0 {
		return nil
	}
	batch[len(batch)-1].last = true
	for _, c := range batch {
		if !o.shard.inbox.put(c) {
			return ErrEnded
		}
	}
	select {
	case <-r.taken.C():
		return nil
	case <-o.shard.stopped:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginReplay starts to watch the topics of a replay.
func (s *Shard) beginReplay(o *Outbox, r *Replay) {
	o.replay, r.since = r, s.number
	for _, e := range r.entries {
		w := s.watched[e]
		if w == nil {
			w = newWatched()
			s.watched[e] = w
		}
		w.replays[r] = struct{}{}
	}
}

// endReplay stops watching them.
func (s *Shard) endReplay(o *Outbox, r *Replay) {
	if o.replay != r {
		return // the outbox was closed before the replay began
	}
	o.replay = nil
	for _, e := range r.entries {
		w := s.watched[e]
		delete(w.replays, r)
		if len(w.replays) == 0 {
			delete(s.watched, e)
		}
	}
}

// remove drops the states of a subscription that has ended.
func (r *Replay) remove(e *Entry) {
	if r.removed == nil {
		r.removed = map[*Entry]bool{}
	}
	r.removed[e] = true
}

// recordDelivered records a state event of a watched topic.
func (s *Shard) recordDelivered(c *command) {
	if w := s.watched[c.broadcast.entry]; w != nil && c.broadcast.state {
		w.record(c.broadcast, c.number)
	}
}

// deliverReplayed gives the first event of a queue, a replayed state, to its outbox.
func (s *Shard) deliverReplayed(q *turnQueue, now time.Time) {
	s.spent++
	c := q.pop()
	o, r := c.outbox, c.replay
	outcome := s.replayOutcomeOf(o, r, c.broadcast, now)
	if outcome == replaySent {
		o.addEvent(q, c.broadcast, c.id, now)
	}
	s.metrics.replays[outcome].Inc()
	if c.last && o.replay == r {
		r.waits = true
		o.resumeReplay()
	}
}

// replayOutcomeOf decides whether a replayed state is sent.
func (s *Shard) replayOutcomeOf(o *Outbox, r *Replay, b *broadcast, now time.Time) replayOutcome {
	switch {
	case o.replay != r, o.state != outboxOpen, r.removed[b.entry]:
		return replayEnded
	case s.watched[b.entry].last[b.key][o.protocol] > r.since:
		return replaySuperseded
	case b.expired(now):
		return replayExpired
	default:
		return replaySent
	}
}

// resumeReplay lets the replay of the outbox send its next batch, unless the socket is full.
func (o *Outbox) resumeReplay() {
	if r := o.replay; r != nil && r.waits && !o.full {
		r.waits = false
		r.taken.Set()
	}
}

// replayOutcome is the outcome of a replayed state.
type replayOutcome uint8

const (
	replaySent replayOutcome = iota
	// replaySuperseded: the subscription has received the same event or a newer one.
	replaySuperseded
	// replayExpired: the event has expired.
	replayExpired
	// replayEnded: the subscription, the replay or the session has ended.
	replayEnded
	// replayMalformed: the event could not be encoded.
	replayMalformed
	numReplayOutcomes
)

// String returns the outcome as a metric label.
func (r replayOutcome) String() string {
	return [numReplayOutcomes]string{"sent", "superseded", "expired", "ended", "malformed"}[r]
}
