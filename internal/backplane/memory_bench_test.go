package backplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// noEncoder fails the test: no event has subscribers.
type noEncoder struct{}

func (noEncoder) Encode(*events.Event) (fanout.Frame, error) {
	return fanout.Frame{}, fmt.Errorf("an event without subscribers was encoded")
}

// newMiss returns an in-process backplane with a real dispatcher. An organization has subscribers, but none of the
// events that will be published.
func newMiss(tb testing.TB) *backplane.Memory {
	tb.Helper()
	dispatcher, err := fanout.New(fanout.Options{JSON: noEncoder{}, Shards: 1})
	if err != nil {
		tb.Fatal(err)
	}
	m := backplane.NewMemory(backplane.Options{
		Catalog: events.Builtin(), Sink: dispatcher,
		Decoder: events.NewIngress(events.IngressOptions{Catalog: events.Builtin()}),
	})
	outbox := dispatcher.Open(nil, fanout.ProtocolJSON)
	var topics []events.Topic
	for i := range 10_000 {
		topic := events.Topic{Organization: missOrganization, Entity: events.ID{0xbb, byte(i >> 8), byte(i)}, Type: 1}
		outbox.Apply(fanout.Change{Add: []fanout.Subscription{outbox.Acquire(topic)}})
		topics = append(topics, topic)
	}
	for _, err := range m.Acquire(tb.Context(), topics) {
		tb.Fatal(err)
	}
	return m
}

var missOrganization = events.ID{0xaa, 15: 0xaa}

// missed returns events of 1,000 entities without subscribers, of a size in bytes.
func missed(name, kind string, size int) (messages [][]byte) {
	for i := range 1000 {
		entity, id := events.ID{0xcc, byte(i >> 8), byte(i)}, events.ID{0xdd, byte(i >> 8), byte(i)}
		message := fmt.Sprintf(`{"RootEntityType":"Organization","RootEntityId":"%s","OrganizationId":"%[1]s",`+
			`"EventType":"%s","EntityType":"%s","EntityId":"%s","Id":"%s","Timestamp":"2026-01-01T12:00:00Z",`+
			`"MessageTTLSeconds":60,"Rest":"`, missOrganization, name, kind, entity, id)
		messages = append(messages, []byte(message+strings.Repeat("x", size-len(message)-2)+`"}`))
	}
	return messages
}

// BenchmarkMemory_NoSubscribers publishes events of 1 KB without subscribers, as most events of a node are. It includes
// decoding and the look-up of subscriptions. States are retained for snapshots all the same. Target: at most 1 us, one
// million events per second on one core.
func BenchmarkMemory_NoSubscribers(b *testing.B) {
	for _, shape := range []struct{ name, event, kind string }{
		{"Call", "UserCallInArrived", "User"},
		{"State", "UserStatus", "User"},
	} {
		b.Run(shape.name, func(b *testing.B) {
			m, messages := newMiss(b), missed(shape.event, shape.kind, 1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := m.Publish(b.Context(), messages[i%len(messages)]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
