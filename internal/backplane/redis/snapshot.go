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

// snapshotReads is how many reads of states may be under way. A caller that waits will often find in memory what the
// read before it has fetched.
const snapshotReads = 4

// snapshotRounds is how often a topic is read again because a state that is not kept came meanwhile.
const snapshotRounds = 3

// Snapshot implements backplane.Snapshots. It takes the states from this node's memory or, for topics without an event
// since their subscription, from Redis.
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

// readMissing reads the states from Redis that the lane does not know. It returns the topics of which a state that is
// not kept came meanwhile.
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

// readingOver ends a read of states.
type readingOver struct{ reading *backplane.Reading }

func (n readingOver) run(_ *worker, l *lane, _ time.Time) { l.states.End(n.reading) }

// lookUp waits until the lane has applied the states that it knows, and returns the topics that it does not know.
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
	<-n.done // it is being applied
	return n.missing, nil
}

// stateLookup is an action: it passes the states that the lane has in memory to apply.
type stateLookup struct {
	topics []events.Topic
	apply  func(topics []events.Topic, last []*events.Event)
	// reading begins if Redis will be read for the topics that the lane does not know; nil: Redis will not be read.
	reading *backplane.Reading
	read    bool         // Redis was read for the topics
	found   []foundState // the states that Redis had

	taken   atomic.Bool // by the lane, or by a caller that no longer waits
	missing []events.Topic
	done    chan struct{}
}

// foundState is a state event from Redis.
type foundState struct {
	backplane.Position
	event *events.Event

	// Set by learn.
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

// learn appends the new states from Redis to last, and stores them in the lane as far as there is room.
func (n *stateLookup) learn(
	w *worker, l *lane, now time.Time, topics []events.Topic, last []*events.Event,
) []*events.Event {
	var news []foundState // with key and expires
	taken := map[stateName]bool{}
	for _, f := range n.found {
		key, ok := w.b.options.Catalog.StateKey(f.event)
		name := stateName{f.event.Topic, key}
		// Events that the lane has not passed yet will come by themselves, and the states that it knows are at least
		// as new.
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
	// Only now: a state without room removes the other states of its topic.
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

// stateName identifies a state of a lane.
type stateName struct {
	topic events.Topic
	key   events.ID
}

// readStates reads the states of topics of a lane from Redis. A state that the node may not read counts as missing.
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
		if err != nil && !command.Denied(err) && !isNil(err) {
			return nil, fmt.Errorf("%w: %w", backplane.ErrUnavailable, err)
		}
		if err == nil {
			found = b.appendStates(found, l, t, messages)
		}
	}
	// Publishers may name a state differently: the newest one of a key wins.
	slices.SortStableFunc(found, func(a, b foundState) int { return b.ID.Compare(a.ID) })
	return found, nil
}

// appendStates appends the events among the messages that belong to a topic.
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
