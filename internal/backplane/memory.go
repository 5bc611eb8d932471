package backplane

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// memoryStates is how many bytes of state events a Memory keeps.
	memoryStates = 64 << 20
	// memoryTidy is how often a lane looks for states that have expired.
	memoryTidy = time.Minute
)

// Memory is the backplane of a single node: what is published here arrives here. It keeps no queue: Publish hands
// the event to the sink before it returns. Its methods may be called from any goroutine.
type Memory struct {
	catalog  *events.Catalog
	layout   Layout
	receiver *Receiver
	limit    StatesLimit

	mu    sync.Mutex
	lanes map[string]*memoryLane // guarded by mu; by name, those with listeners or states
}

// memoryLane lets one event at a time through.
type memoryLane struct {
	name string
	refs int // guarded by Memory.mu

	order  sync.Mutex // held while an event goes to the sink
	states States     // guarded by order
	tidied time.Time  // guarded by order
}

var (
	_ Backplane = (*Memory)(nil)
	_ Snapshots = (*Memory)(nil)
)

// NewMemory makes a Memory.
func NewMemory(o Options) *Memory {
	return &Memory{
		catalog:  o.Catalog,
		layout:   o.Layout,
		receiver: NewReceiver(o),
		limit:    StatesLimit{Bytes: memoryStates},
		lanes:    map[string]*memoryLane{},
	}
}

// Run waits for ctx to end.
func (m *Memory) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Acquire counts the topics; it always works.
func (m *Memory) Acquire(_ context.Context, topics []events.Topic) []error {
	for _, t := range topics {
		m.lane(t, 1)
	}
	return nil
}

// Release gives the topics back. There is nothing to linger for.
func (m *Memory) Release(topics []events.Topic) {
	for _, t := range topics {
		l, _ := m.lane(t, -1)
		m.drop(l)
	}
}

// lane is the lane of a topic, which begins if it is new, and how many listeners it has after so many more.
func (m *Memory) lane(t events.Topic, more int) (l *memoryLane, listeners int) {
	name := m.layout.Lane(t.Organization, t.Entity)
	m.mu.Lock()
	defer m.mu.Unlock()
	if l = m.lanes[name]; l == nil {
		l = &memoryLane{name: name}
		m.lanes[name] = l
	}
	if l.refs += more; l.refs < 0 {
		panic("backplane: Release without Acquire")
	}
	return l, l.refs
}

// drop ends a lane that has neither listeners nor states.
func (m *Memory) drop(l *memoryLane) {
	l.order.Lock()
	defer l.order.Unlock()
	if l.states.Tidy(time.Now(), &m.limit) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.refs == 0 && m.lanes[l.name] == l {
		delete(m.lanes, l.name)
	}
}

// Publish hands the event to the sink if its lane has listeners.
func (m *Memory) Publish(_ context.Context, data []byte) error {
	// The sink may keep what it gets; the caller may use its buffer again.
	ev, err := m.receiver.decoder.Decode(bytes.Clone(data))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	l, listeners := m.lane(ev.Topic, 0)
	l.order.Lock()
	now := time.Now()
	l.states.Add(m.catalog, &ev, now, &m.limit)
	if listeners > 0 {
		m.receiver.Dispatch(&ev)
	}
	tidy := now.Sub(l.tidied) > memoryTidy
	if tidy {
		l.tidied = now
	}
	l.order.Unlock()
	if tidy {
		m.drop(l)
	}
	return nil
}

// Snapshot brings the latest state events of this process.
func (m *Memory) Snapshot(_ context.Context, topics []events.Topic, apply func([]events.Topic, []*events.Event)) error {
	for _, topics := range m.layout.Group(topics) {
		l, _ := m.lane(topics[0], 0)
		l.snapshot(topics, apply)
	}
	return nil
}

func (l *memoryLane) snapshot(topics []events.Topic, apply func([]events.Topic, []*events.Event)) {
	l.order.Lock()
	defer l.order.Unlock()
	now := time.Now()
	var last []*events.Event
	for _, t := range topics {
		last = l.states.Last(last, t, now)
	}
	apply(topics, last)
}

// Health is always good.
func (m *Memory) Health() Health { return Health{Connected: true} }
