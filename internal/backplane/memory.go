package backplane

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/rte-server/rte-server/internal/events"
)

// Memory is the backplane of a single node: what is published here arrives here. It keeps no queue: Publish hands
// the event to the sink before it returns. Its methods may be called from any goroutine.
type Memory struct {
	layout   Layout
	receiver *Receiver

	mu    sync.Mutex
	lanes map[string]*memoryLane // guarded by mu; by name, those with listeners
}

// memoryLane lets one event at a time through.
type memoryLane struct {
	refs int // guarded by Memory.mu

	order sync.Mutex // held while an event goes to the sink
}

var _ Backplane = (*Memory)(nil)

// NewMemory makes a Memory.
func NewMemory(o Options) *Memory {
	return &Memory{
		layout:   o.Layout,
		receiver: NewReceiver(o),
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
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range topics {
		name := m.layout.Lane(t.Organization, t.Entity)
		l := m.lanes[name]
		if l == nil {
			l = &memoryLane{}
			m.lanes[name] = l
		}
		l.refs++
	}
	return nil
}

// Release gives the topics back. There is nothing to linger for.
func (m *Memory) Release(topics []events.Topic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range topics {
		name := m.layout.Lane(t.Organization, t.Entity)
		l := m.lanes[name]
		if l == nil {
			panic("backplane: Release without Acquire")
		}
		if l.refs--; l.refs == 0 {
			delete(m.lanes, name)
		}
	}
}

// Publish hands the event to the sink if its lane has listeners.
func (m *Memory) Publish(_ context.Context, data []byte) error {
	// The sink may keep what it gets; the caller may use its buffer again.
	ev, err := m.receiver.decoder.Decode(bytes.Clone(data))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	m.mu.Lock()
	l := m.lanes[m.layout.Lane(ev.Organization, ev.Entity)]
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	l.order.Lock()
	defer l.order.Unlock()
	m.receiver.Dispatch(&ev)
	return nil
}

// Health is always good.
func (m *Memory) Health() Health { return Health{Connected: true} }
