package fanout

import (
	"context"
	"errors"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/subscriptions"
)

// ErrEnded says that nothing is replayed any more, because the dispatcher has stopped.
var ErrEnded = errors.New("fanout has ended")

// Replay brings older state events to listeners that an outbox begins with one Change, each before anything newer and
// none that the listener also receives as it is dispatched. To know that, the shards watch the topics until the replay
// is ended. An outbox has one Replay at a time.
type Replay struct {
	// Static after construction.
	entries []*subscriptions.Entry
	mark    *Change       // stands for the replay in the items of its events
	taken   chan struct{} // has a token when a batch was taken and the socket is not full

	// Owned by the shard.
	since   uint64                        // number of the last event that came before the listeners
	removed map[*subscriptions.Entry]bool // those whose listeners have ended meanwhile; nil: none
	waits   bool                          // a batch was taken, but the socket is full
}

// NewReplay makes a Replay for listeners to entries.
func NewReplay(entries []*subscriptions.Entry) *Replay {
	r := &Replay{entries: entries, taken: make(chan struct{}, 1)}
	r.mark = &Change{Replay: r}
	return r
}

// State is a state event that was dispatched, or could have been, before the listener began.
type State struct {
	Listener
	// Event and its Data are not used any more when Replay has returned.
	Event *events.Event
}

// Replay sends states to listeners of r, which was part of a Change of this outbox. Every event that was dispatched in
// its topic since a state was looked up must have been dispatched after that Change. Replay sends no more than one write
// may carry before the socket has taken it: it waits for the client, until ctx ends.
func (o *Outbox) Replay(ctx context.Context, r *Replay, states []State) error {
	var batch []*item
	var size int
	for i := range states {
		it, err := o.replayed(r, &states[i])
		if err != nil {
			o.shard.metrics.replays[replayMalformed].Inc()
			continue
		}
		if o.shard.held.has(it.broadcast.entry.Owner(), stateKey{it.broadcast.entry, it.broadcast.key}) {
			o.shard.metrics.replays[replaySuperseded].Inc() // by one that is on its way
			continue
		}
		if len(batch) > 0 && batch[0].broadcast.entry.Owner() != it.broadcast.entry.Owner() {
			if err := o.replayBatch(ctx, r, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch = append(batch, it)
		if size += len(it.broadcast.frames[o.protocol].Bytes); size >= o.shard.options.WriteBytes {
			if err := o.replayBatch(ctx, r, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	return o.replayBatch(ctx, r, batch)
}

// EndReplay ends a replay: what it has still under way goes nowhere. It must be called once for each Replay that was
// part of a Change.
func (o *Outbox) EndReplay(r *Replay) {
	o.shard.inbox.put(&item{kind: itemReplayEnd, box: o, change: r.mark})
}

// replayed makes the item of a state.
func (o *Outbox) replayed(r *Replay, st *State) (*item, error) {
	options := o.shard.options
	b := &broadcast{entry: st.Entry, expires: options.Expires(st.Event)}
	encoder := options.JSON
	if o.protocol == ProtocolMessagePack {
		encoder = options.MessagePack
	}
	frame, err := encoder.Encode(st.Event)
	if err != nil {
		return nil, err
	}
	b.frames[o.protocol] = frame
	b.key, b.state = options.State(st.Event)
	return &item{kind: itemReplay, box: o, broadcast: b, change: r.mark, id: st.ID}, nil
}

// replayBatch puts items of one organization into the inbox and waits until they are taken.
func (o *Outbox) replayBatch(ctx context.Context, r *Replay, batch []*item) error {
	if len(batch) == 0 {
		return nil
	}
	batch[len(batch)-1].last = true
	for _, it := range batch {
		if !o.shard.inbox.put(it) {
			return ErrEnded
		}
	}
	select {
	case <-r.taken:
		return nil
	case <-o.shard.stopped:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// has says that a state of this key is held back. Once it says no, the state, if it was, has been dispatched.
func (h *held) has(owner *subscriptions.Owner, key stateKey) bool {
	if h.total.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	hs := h.owners[owner]
	return hs != nil && hs.states[key] != nil
}

// watch begins the replay of an outbox.
func (s *Shard) watch(o *Outbox, r *Replay) {
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

// unwatch ends it.
func (s *Shard) unwatch(o *Outbox, r *Replay) {
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

// remove is told that a listener has ended.
func (r *Replay) remove(e *subscriptions.Entry) {
	if r.removed == nil {
		r.removed = map[*subscriptions.Entry]bool{}
	}
	r.removed[e] = true
}

// note remembers that an event has passed.
func (s *Shard) note(it *item) {
	if w := s.watched[it.broadcast.entry]; w != nil && it.broadcast.state {
		w.note(it.broadcast, it.number)
	}
}

// replay gives the first item of a lane, a replayed state, to its outbox.
func (s *Shard) replay(l *lane, now time.Time) {
	s.spent++
	it := l.first
	l.cut(it)
	o, r := it.box, it.change.Replay
	outcome := s.replayable(o, r, it.broadcast, now)
	if outcome == replaySent {
		o.addEvent(l, it.broadcast, it.id, now)
	}
	s.metrics.replays[outcome].Inc()
	if it.last && o.replay == r {
		r.waits = true
		o.goOn()
	}
}

// replayable says what becomes of a replayed state.
func (s *Shard) replayable(o *Outbox, r *Replay, b *broadcast, now time.Time) replayOutcome {
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

// goOn tells the replay of the outbox that there is room, if there is.
func (o *Outbox) goOn() {
	if r := o.replay; r != nil && r.waits && !o.full {
		r.waits = false
		select {
		case r.taken <- struct{}{}:
		default: // nobody waits any more
		}
	}
}

// replayOutcome says what became of a replayed state.
type replayOutcome uint8

const (
	replaySent replayOutcome = iota
	// replaySuperseded: the listener has received a newer one, or the same.
	replaySuperseded
	// replayExpired: it has outlived its time.
	replayExpired
	// replayEnded: the subscription, the replay or the session has ended.
	replayEnded
	// replayMalformed: it could not be encoded.
	replayMalformed
	numReplayOutcomes
)

// String is the outcome as a metric label.
func (r replayOutcome) String() string {
	return [numReplayOutcomes]string{"sent", "superseded", "expired", "ended", "malformed"}[r]
}
