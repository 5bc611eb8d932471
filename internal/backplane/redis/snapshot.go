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

const (
	// statesSpan is after what time of listening to a lane Redis is not asked any more for its states: what was
	// published before has expired.
	statesSpan = 10 * time.Minute
	// snapshotTries is how often Redis is asked if the node forgets states meanwhile.
	snapshotTries = 3
)

var _ backplane.Snapshots = (*Backplane)(nil)

// Snapshot brings the latest state events from this node's memory or, if it has not listened for long, from Redis.
func (b *Backplane) Snapshot(
	ctx context.Context, topics []events.Topic, apply func(topics []events.Topic, last []*events.Event),
) error {
	for name, topics := range b.options.Layout.Group(topics) {
		l := b.table.find(name)
		if l == nil {
			return fmt.Errorf("snapshot: %w: the lane is not acquired", backplane.ErrUnavailable)
		}
		if err := b.snapshot(ctx, l, topics, apply); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	return nil
}

func (b *Backplane) snapshot(
	ctx context.Context, l *lane, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) error {
	n := &recall{topics: topics, apply: apply}
	for range snapshotTries {
		missing, err := n.ask(ctx, b, l)
		if err != nil || len(missing) == 0 {
			return err
		}
		read := time.Now()
		found, err := b.readStates(ctx, l, missing)
		if err != nil {
			return err
		}
		n = &recall{topics: topics, apply: apply, found: found, read: read}
	}
	return fmt.Errorf("%w: the node forgets states as fast as they are read", backplane.ErrUnavailable)
}

// recall asks a lane for its states.
type recall struct {
	topics []events.Topic
	apply  func(topics []events.Topic, last []*events.Event)
	found  []foundState // in Redis
	read   time.Time    // when; zero: it was not asked

	taken   atomic.Bool // by the lane, or by the one who asked and does not wait any more
	missing []events.Topic
	done    chan struct{}
}

// foundState is a state event that was found in Redis.
type foundState struct {
	backplane.Position
	event *events.Event
}

// ask waits until the lane has applied its states, or says of which topics it does not know enough.
func (n *recall) ask(ctx context.Context, b *Backplane, l *lane) (missing []events.Topic, err error) {
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

func (n *recall) tell(w *worker, l *lane, now time.Time) {
	if !n.taken.CompareAndSwap(false, true) {
		return
	}
	defer close(n.done)
	catalog := w.b.options.Catalog
	since := l.states.Since()
	if n.read.IsZero() && (since.IsZero() || now.Sub(since) < statesSpan) {
		for _, t := range n.topics {
			d := catalog.Definition(t.Type)
			if d != nil && d.State() && (severalStates(d) || !l.states.Knows(t, events.ID{})) {
				n.missing = append(n.missing, t)
			}
		}
	}
	if n.read.Before(since) && len(n.found) > 0 {
		n.missing = n.topics // states were forgotten since Redis was asked
	}
	if len(n.missing) > 0 {
		return
	}
	var last []*events.Event
	for _, f := range n.found {
		// What the lane has not passed yet will come by itself.
		key, ok := catalog.StateKey(f.event)
		if ok && l.sequence.Passed(f.Position) && !l.states.Knows(f.event.Topic, key) && !w.outlived(l, f, now) {
			last = append(last, f.event)
		}
	}
	for _, t := range n.topics {
		last = l.states.Last(last, t, now)
	}
	n.apply(n.topics, last)
}

// outlived says that a state has expired. One without a position is as old as Redis says, which has let it expire if
// it should.
func (w *worker) outlived(l *lane, f foundState, now time.Time) bool {
	ttl := time.Duration(f.event.TTLSeconds) * time.Second
	return ttl <= 0 || f.N > 0 && now.After(l.sequence.When(f.ID).Add(ttl))
}

// severalStates says that a topic of this type can have several states.
func severalStates(d *events.Definition) bool {
	return slices.ContainsFunc(d.ConflationKey, func(name string) bool {
		return name != "EntityId" && name != "OrganizationId"
	})
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
		if severalStates(d) {
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
	slices.SortStableFunc(found, func(a, b foundState) int { return a.ID.Compare(b.ID) })
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
