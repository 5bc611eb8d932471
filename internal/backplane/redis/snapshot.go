package redis

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// snapshotReads is how many readings of states may be under way. Who waits for one will often find in the node's memory
// what the one before has read.
const snapshotReads = 4

var _ backplane.Snapshots = (*Backplane)(nil)

// Snapshot brings the latest state events from this node's memory or, of topics of which nothing was published since it
// listens, from Redis.
func (b *Backplane) Snapshot(
	ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event),
) error {
	var failed error
	for name, topics := range b.options.Layout.Group(topics) {
		l := b.table.find(name)
		if l == nil {
			return fmt.Errorf("snapshot: %w: the lane is not acquired", backplane.ErrUnavailable)
		}
		if err := b.snapshot(ctx, l, topics, apply); err != nil {
			failed = fmt.Errorf("snapshot: %w", err)
		}
	}
	return failed
}

func (b *Backplane) snapshot(
	ctx context.Context, l *lane, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) error {
	missing, err := b.ask(ctx, l, &recall{topics: topics, apply: apply})
	if err != nil || len(missing) == 0 {
		return err
	}
	select {
	case b.reads <- struct{}{}:
		defer func() { <-b.reads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	missing, err = b.ask(ctx, l, &recall{topics: missing, apply: apply})
	if err != nil || len(missing) == 0 {
		return err
	}
	found, err := b.readStates(ctx, l, missing)
	if err != nil {
		return err
	}
	_, err = b.ask(ctx, l, &recall{topics: missing, apply: apply, read: true, found: found})
	return err
}

// ask waits until the lane has applied the states that it knows, and answers the topics that it does not know.
func (b *Backplane) ask(ctx context.Context, l *lane, n *recall) (missing []events.Topic, err error) {
	n.done = make(chan struct{})
	b.post(l, n)
	select {
	case <-n.done:
		return n.missing, nil
	case <-ctx.Done():
	}
	if n.taken.CompareAndSwap(false, true) {
		return nil, ctx.Err()
	}
	<-n.done // it is being applied right now
	return n.missing, nil
}

// recall asks a lane for its states.
type recall struct {
	topics []events.Topic
	apply  func(topics []events.Topic, last []*events.Event)
	read   bool         // Redis was asked for the topics
	found  []foundState // and had this

	taken   atomic.Bool // by the lane, or by the one who asked and does not wait any more
	missing []events.Topic
	done    chan struct{}
}

// foundState is a state event that was found in Redis.
type foundState struct {
	backplane.Position
	event *events.Event
}

func (n *recall) tell(w *worker, l *lane, now time.Time) {
	if !n.taken.CompareAndSwap(false, true) {
		return
	}
	defer close(n.done)
	var last []*events.Event
	if n.read {
		last = n.learn(w, l, now)
	}
	answered := make([]events.Topic, 0, len(n.topics))
	for _, t := range n.topics {
		d := w.b.options.Catalog.Definition(t.Type)
		if d != nil && d.State() && !n.read && !l.states.Complete(t) {
			n.missing = append(n.missing, t)
			continue
		}
		answered = append(answered, t)
		last = l.states.Last(last, t, now)
	}
	if len(answered) > 0 {
		n.apply(answered, last)
	}
}

// learn makes the lane know what was found in Redis, and answers what it has no room for.
func (n *recall) learn(w *worker, l *lane, now time.Time) (rest []*events.Event) {
	for _, t := range n.topics {
		l.states.SetComplete(t, &w.b.states)
	}
	for _, f := range n.found {
		key, ok := w.b.options.Catalog.StateKey(f.event)
		// What the lane has not passed yet will come by itself, and what it knows is no older.
		if !ok || !l.sequence.Passed(f.Position) || l.states.Knows(f.event.Topic, key) {
			continue
		}
		expires := l.sequence.When(f.ID).Add(backplane.StateTTL(f.event))
		if expires.After(now) && !l.states.Learn(f.event, key, expires, now, &w.b.states) {
			rest = append(rest, f.event)
		}
	}
	if l.states.Any() {
		w.b.checkups.add(l)
	}
	return rest
}

// stateKey is the key of the state of a topic: a string or, where there can be several, a hash.
func stateKey(lane string, d *events.Definition, t events.Topic) string {
	return "rte:s:{" + lane + "}:" + d.Kind.String() + ":" + t.Entity.String() + ":" + d.Name
}

// readStates reads what Redis has of topics of a lane. What the node may not read it does not have.
func (b *Backplane) readStates(ctx context.Context, l *lane, topics []events.Topic) ([]foundState, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.CommandTimeout)
	defer cancel()
	pipe := b.commands(l.name).Pipeline()
	results := make([]goredis.Cmder, len(topics))
	for i, t := range topics {
		d := b.options.Catalog.Definition(t.Type)
		if d.Several() {
			results[i] = pipe.HVals(ctx, stateKey(l.name, d, t))
		} else {
			results[i] = pipe.Get(ctx, stateKey(l.name, d, t))
		}
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	var found []foundState
	for i, t := range topics {
		var messages []string
		var err error
		switch cmd := results[i].(type) {
		case *goredis.StringSliceCmd:
			messages, err = cmd.Result()
		case *goredis.StringCmd:
			messages = make([]string, 1)
			messages[0], err = cmd.Result()
		}
		if err != nil && !refused(err) && !isNil(err) {
			return nil, fmt.Errorf("%w: %w", backplane.ErrUnavailable, err)
		}
		if err == nil {
			found = b.appendStates(found, l, t, messages)
		}
	}
	// Publishers may name a state differently: the newest one of a key is taken.
	slices.SortStableFunc(found, func(a, b foundState) int { return b.ID.Compare(a.ID) })
	return found, nil
}

// appendStates adds the events of messages that are of a topic to dst.
func (b *Backplane) appendStates(dst []foundState, l *lane, t events.Topic, messages []string) []foundState {
	for _, text := range messages {
		position, data, err := backplane.ParseMessage([]byte(text))
		if err != nil {
			continue
		}
		if ev, ok := b.receiver.DecodeAgain(l.organization, data); ok && ev.Topic == t {
			dst = append(dst, foundState{position, &ev})
		}
	}
	return dst
}
