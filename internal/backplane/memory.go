package backplane

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// tidyInterval is the time between two searches of a lane for expired states.
const tidyInterval = time.Minute

// Memory is the backplane of a single node. It has no queue: Publish hands the event to the sink before it returns. Its
// methods may be called from any goroutine.
type Memory struct {
	catalog  *events.Catalog
	layout   Layout
	receiver *Receiver
	limit    StatesLimit
	receipts receipts
	sink     Sink
	wanted   func(events.Topic) bool // is m.wants
	started  time.Time

	mu    sync.Mutex
	lanes map[laneKey]*memoryLane // guarded by mu; those with acquired topics or states
}

// memoryLane dispatches one event at a time. Lock order: order first, Memory.mu inside.
type memoryLane struct {
	key  laneKey
	refs atomic.Int64 // acquired topics; written with Memory.mu held

	order  sync.Mutex // held while an event goes to the sink
	states States     // guarded by order
	tidied time.Time  // guarded by order
	ended  bool       // guarded by order; the lane is not in Memory.lanes any more
}

var _ Backplane = (*Memory)(nil)

// NewMemory returns a Memory.
func NewMemory(o Options) *Memory {
	m := &Memory{
		catalog:  o.Catalog,
		layout:   o.Layout,
		receiver: NewReceiver(o),
		sink:     o.Sink,
		lanes:    map[laneKey]*memoryLane{},
		started:  time.Now(),
	}
	m.limit.Bytes = int64(cmp.Or(o.SnapshotMemory, DefaultSnapshotMemory))
	m.limit.Register(o.Registerer)
	m.wanted = m.wants
	return m
}

// wants reports whether the events of a topic are retained for snapshots or wanted by the sink.
func (m *Memory) wants(t events.Topic) bool {
	return m.limit.Bytes > 0 && m.catalog.Definition(t.Type).State() || m.sink.Wants(t)
}

// Run removes expired states until ctx ends.
func (m *Memory) Run(ctx context.Context) error {
	ticker := time.NewTicker(tidyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		m.mu.Lock()
		lanes := slices.Collect(maps.Values(m.lanes))
		m.mu.Unlock()
		for _, l := range lanes {
			if l.order.TryLock() { // if not, an event may be waiting for the sink
				m.dropLocked(l)
				l.order.Unlock()
			}
		}
	}
}

// Acquire counts the topics. It always succeeds.
func (m *Memory) Acquire(_ context.Context, topics []events.Topic) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range topics {
		m.laneLocked(t).refs.Add(1)
	}
	return nil
}

// Release gives the topics back. The lane does not linger.
func (m *Memory) Release(topics []events.Topic) {
	for _, l := range m.release(topics) {
		m.drop(l)
	}
}

// release gives topics back and returns the lanes that have none left.
func (m *Memory) release(topics []events.Topic) (quiet []*memoryLane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range topics {
		l := m.laneLocked(t)
		refs := l.refs.Add(-1)
		if refs < 0 {
			panic("backplane: Release without Acquire")
		}
		if refs == 0 {
			quiet = append(quiet, l)
		}
	}
	return quiet
}

// laneLocked returns the lane of a topic and creates it if necessary. It needs mu.
func (m *Memory) laneLocked(t events.Topic) *memoryLane {
	key := m.layout.key(t.Organization, t.Entity)
	l := m.lanes[key]
	if l == nil {
		l = &memoryLane{key: key}
		m.lanes[key] = l
	}
	return l
}

// enter locks the order of a topic's lane. Without wait, ok is false if the order is locked already.
func (m *Memory) enter(t events.Topic, wait bool) (l *memoryLane, ok bool) {
	for {
		m.mu.Lock()
		l = m.laneLocked(t)
		m.mu.Unlock()
		if wait {
			l.order.Lock()
		} else if !l.order.TryLock() {
			return nil, false
		}
		if !l.ended {
			return l, true
		}
		l.order.Unlock()
	}
}

// drop ends a lane that has neither acquired topics nor states.
func (m *Memory) drop(l *memoryLane) {
	l.order.Lock()
	defer l.order.Unlock()
	m.dropLocked(l)
}

// dropLocked is drop for callers that hold the lane's order.
func (m *Memory) dropLocked(l *memoryLane) {
	if l.ended || l.states.Tidy(time.Now(), &m.limit) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.refs.Load() == 0 {
		l.ended = true
		delete(m.lanes, l.key)
	}
}

// Publish hands the event to the sink if the sink wants it. It may not notice that an unwanted event is malformed
// behind its topic.
func (m *Memory) Publish(_ context.Context, data []byte) error {
	_, err := m.take(data, true, nil)
	return err
}

// PublishBatch publishes the events one after the other until ctx ends. Where the backlog of an organization is full,
// its events wait until those of all others are published.
func (m *Memory) PublishBatch(ctx context.Context, batch [][]byte) (errs []error) {
	var late []int // events that have to wait, in order
	var waiting map[events.ID]bool
	publish := func(i int, wait bool) {
		err := ctx.Err()
		if err != nil {
			err = fmt.Errorf("publish: %w: %w", ErrUnavailable, err)
		} else {
			var organization events.ID
			if organization, err = m.take(batch[i], wait, waiting); errors.Is(err, errBusy) {
				if waiting == nil {
					waiting = map[events.ID]bool{}
				}
				waiting[organization] = true
				late = append(late, i)
				return
			}
		}
		if err != nil && errs == nil {
			errs = make([]error, len(batch))
		}
		if err != nil {
			errs[i] = err
		}
	}
	for i := range batch {
		publish(i, false)
	}
	for _, i := range late {
		publish(i, true)
	}
	return errs
}

// errBusy is the error of take for an event that would have to wait.
var errBusy = errors.New("busy")

// take publishes an event. Without wait, the error is errBusy if the event would have to wait, or if its organization
// is in waiting.
func (m *Memory) take(data []byte, wait bool, waiting map[events.ID]bool) (organization events.ID, err error) {
	ev, ok, err := m.receiver.decoder.Skim(data, m.wanted)
	ev.Tier = events.TierLocal
	if err != nil {
		return organization, fmt.Errorf("publish: %w", err)
	}
	if !ok {
		m.receiver.Unwanted(&ev, time.Now())
		return ev.Organization, nil
	}
	if !wait && waiting[ev.Organization] {
		return ev.Organization, errBusy
	}
	l, tidy, ok := m.publish(&ev, wait)
	if tidy {
		m.drop(l)
	}
	if !ok {
		err = errBusy
	}
	return ev.Organization, err
}

// publish dispatches an event and retains it. ok is false if, without wait, the event would have to wait. tidy reports
// whether the lane needs a call of drop.
func (m *Memory) publish(ev *events.Event, wait bool) (l *memoryLane, tidy, ok bool) {
	if l, ok = m.enter(ev.Topic, wait); !ok {
		return nil, false, false
	}
	defer l.order.Unlock()
	// The order is locked, so a subscriber with a snapshot receives every later state, too.
	wanted := l.refs.Load() > 0 && m.sink.Wants(ev.Topic)
	if wanted {
		shared := *ev
		shared.Data = bytes.Clone(ev.Data) // the sink may keep the data; the caller may reuse its buffer
		if wait {
			m.receiver.Dispatch(&shared)
		} else if !m.receiver.Offer(&shared) {
			return nil, false, false
		}
	}
	now := m.started.Add(time.Since(m.started)) // reads one clock; time.Now reads two
	if !wanted {
		m.receiver.Unwanted(ev, now)
	}
	l.states.Add(m.catalog, ev, now, &m.limit)
	if tidy = now.Sub(l.tidied) > tidyInterval || !wanted && !l.states.Any(); tidy {
		l.tidied = now
	}
	return l, tidy, true
}

// Snapshot implements Snapshots with the states of this process.
func (m *Memory) Snapshot(
	ctx context.Context, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) error {
	for _, topics := range m.layout.Group(topics) {
		if err := m.snapshot(ctx, topics, apply); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	return nil
}

func (m *Memory) snapshot(
	ctx context.Context, topics []events.Topic, apply func([]events.Topic, []*events.Event),
) error {
	l, ok := m.enter(topics[0], false)
	for ; !ok; l, ok = m.enter(topics[0], false) {
		select {
		case <-time.After(time.Millisecond): // an event may be waiting for the sink
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer l.order.Unlock()
	now := time.Now()
	var last []*events.Event
	for _, t := range topics {
		last = l.states.Last(last, t, now)
	}
	apply(topics, last)
	return nil
}

// Health implements Backplane: the backplane is always connected.
func (m *Memory) Health() Health { return Health{Connected: true} }
