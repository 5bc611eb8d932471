package redis

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/events"
)

// snapshotReads is how many readings of states may be under way. Who waits for one will often find in the node's memory
// what the one before has read.
const snapshotReads = 4

// snapshotRounds is how often a topic is read of which something came meanwhile that is not kept.
const snapshotRounds = 3

// Snapshot brings the latest state events from this node's memory or, of topics of which nothing was published since it
// listens, from Redis.
func (b *Backplane) Snapshot(
	ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event),
) error {
	var failed error
	for name, topics := range b.options.Layout.Group(topics) {
		l := b.index.find(name)
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
	missing, err := b.lookUp(ctx, l, &stateLookup{topics: topics, apply: apply})
	if err != nil || len(missing) == 0 {
		return err
	}
	select {
	case b.reads <- struct{}{}:
		defer func() { <-b.reads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range snapshotRounds {
		missing, err = b.readMissing(ctx, l, missing, apply)
		if err != nil || len(missing) == 0 {
			return err
		}
	}
	return fmt.Errorf("%w: states were replaced while they were read", backplane.ErrUnavailable)
}

// recollect reads from Redis what the lane does not know. It answers the topics of which something was replaced meanwhile
// that is not kept.
func (b *Backplane) readMissing(
	ctx context.Context, l *lane, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) (outdated []events.Topic, err error) {
	reading := &backplane.Reading{}
	defer b.post(l, readingOver{reading})
	missing, err := b.lookUp(ctx, l, &stateLookup{topics: topics, apply: apply, reading: reading})
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	found, err := b.readStates(ctx, l, missing)
	if err != nil {
		return nil, err
	}
	return b.lookUp(ctx, l, &stateLookup{topics: missing, apply: apply, reading: reading, read: true, found: found})
}

// readingOver ends a reading.
type readingOver struct{ reading *backplane.Reading }

func (n readingOver) run(_ *worker, l *lane, _ time.Time) { l.states.End(n.reading) }

// ask waits until the lane has applied the states that it knows, and answers the topics that it does not know.
func (b *Backplane) lookUp(ctx context.Context, l *lane, n *stateLookup) (missing []events.Topic, err error) {
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
type stateLookup struct {
	topics []events.Topic
	apply  func(topics []events.Topic, last []*events.Event)
	// reading begins if Redis will be asked for what the lane does not know; nil: it will not.
	reading *backplane.Reading
	read    bool         // Redis was asked for the topics during it
	found   []foundState // and had this

	taken   atomic.Bool // by the lane, or by the one who asked and does not wait any more
	missing []events.Topic
	done    chan struct{}
}

// foundState is a state event that was found in Redis.
type foundState struct {
	backplane.Position
	event *events.Event

	// Set when it is learnt.
	key     events.ID
	expires time.Time
}

func (n *stateLookup) run(w *worker, l *lane, now time.Time) {
	if !n.taken.CompareAndSwap(false, true) {
		return
	}
	defer close(n.done)
	answered := make([]events.Topic, 0, len(n.topics))
	var last []*events.Event
	for _, t := range n.topics {
		d := w.b.options.Catalog.Definition(t.Type)
		switch {
		case n.read && n.reading.Outdated(t), !n.read && d != nil && d.State() && !l.states.Complete(t):
			n.missing = append(n.missing, t)
		default:
			answered = append(answered, t)
			last = l.states.Last(last, t, now)
		}
	}
	switch {
	case n.read:
		last = n.learn(w, l, now, answered, last)
	case n.reading != nil && len(n.missing) > 0:
		l.states.Begin(n.reading, n.missing)
	}
	if len(answered) > 0 {
		n.apply(answered, last)
	}
}

// learn adds to last what was found in Redis of topics and is news, and makes the lane know it as far as there is room.
func (n *stateLookup) learn(w *worker, l *lane, now time.Time, topics []events.Topic, last []*events.Event) []*events.Event {
	var news []foundState // in which key and expires are set
	taken := map[stateName]bool{}
	for _, f := range n.found {
		key, ok := w.b.options.Catalog.StateKey(f.event)
		name := stateName{f.event.Topic, key}
		// What the lane has not passed yet will come by itself, and what it knows is no older.
		if !ok || n.reading.Outdated(f.event.Topic) || taken[name] ||
			!l.sequence.Passed(f.Position) || l.states.Knows(f.event.Topic, key) {
			continue
		}
		taken[name] = true
		f.key, f.expires = key, l.sequence.When(f.ID).Add(backplane.StateTTL(f.event))
		if f.expires.After(now) {
			news = append(news, f)
			last = append(last, f.event)
		}
	}
	// Only now: a state for which there is no room takes the others of its topic with it.
	for _, t := range topics {
		l.states.SetComplete(t, &w.b.states)
	}
	for _, f := range news {
		l.states.Learn(f.event, f.key, f.expires, now, &w.b.states)
	}
	if l.states.Any() {
		w.b.checkups.add(l)
	}
	return last
}

// stateName tells all states of a lane apart.
type stateName struct {
	topic events.Topic
	key   events.ID
}

// readStates reads what Redis has of topics of a lane. What the node may not read it does not have.
func (b *Backplane) readStates(ctx context.Context, l *lane, topics []events.Topic) ([]foundState, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.CommandTimeout)
	defer cancel()
	pipe := b.commands.For(l.name).Pipeline()
	results := make([]goredis.Cmder, len(topics))
	for i, t := range topics {
		d := b.options.Catalog.Definition(t.Type)
		if d.Several() {
			results[i] = pipe.HVals(ctx, command.StateKey(l.name, d, t))
		} else {
			results[i] = pipe.Get(ctx, command.StateKey(l.name, d, t))
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
		if err != nil && !command.Refused(err) && !isNil(err) {
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
			dst = append(dst, foundState{Position: position, event: &ev})
		}
	}
	return dst
}
