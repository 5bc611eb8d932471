package backplane

import (
	"context"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// Shared implements Control: a single process has no other nodes.
func (m *Memory) Shared() bool { return false }

// Subscribe implements Control: there is no other node to send messages.
func (m *Memory) Subscribe(string, func([]byte), func()) {}

// Send implements Control: there is no other node to receive the message.
func (m *Memory) Send(context.Context, string, []byte) error { return nil }

// Revocations implements Control: this node's own list is the only one.
func (m *Memory) Revocations() Revocations { return noRevocations{} }

// noRevocations are the shared revocations of a node without others.
type noRevocations struct{}

func (noRevocations) Keep(context.Context, []byte, time.Time, []byte) error { return nil }

func (noRevocations) Kept(context.Context, func([]byte, time.Time)) error { return nil }

// Documents implements Documents: no back end can store any here.
func (m *Memory) Documents(_ context.Context, _ []events.ID, documents [][]byte) error {
	clear(documents)
	return nil
}
