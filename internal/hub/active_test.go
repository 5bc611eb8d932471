package hub

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// TestActive_behavesLikeASet compares random changes with a map.
func TestActive_behavesLikeASet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	dispatcher, err := fanout.New(fanout.Options{JSON: struct{ fanout.Encoder }{}})
	if err != nil {
		t.Fatal(err)
	}
	outbox := dispatcher.Open(nil, fanout.ProtocolJSON)
	var a active
	model := map[events.Topic]fanout.Subscription{}
	topic := func() events.Topic {
		return events.Topic{
			Organization: events.ID{byte(random.IntN(2))},
			Entity:       events.ID{15: byte(random.IntN(20))},
			Type:         events.Type(random.IntN(3)),
		}
	}
	for range 2000 {
		var added []fanout.Subscription
		var removed []*fanout.Entry
		for range random.IntN(10) {
			topic := topic()
			l, ok := model[topic]
			switch {
			case !ok && random.IntN(2) == 0:
				l = outbox.Acquire(topic)
				model[topic] = l
				added = append(added, l)
			case ok && !slices.Contains(added, l):
				delete(model, topic)
				removed = append(removed, l.Entry)
			}
		}
		a = a.without(removed).with(added)

		want := slices.SortedFunc(maps.Values(model), compareSubscriptions)
		if !slices.Equal(a, want) {
			t.Fatalf("%v, want %v", a, want)
		}
		probe := topic()
		if _, ok := model[probe]; a.has(probe) != ok {
			t.Fatalf("has %v is %v", probe, !ok)
		}
		named := slices.DeleteFunc(want, func(l fanout.Subscription) bool {
			return l.Entry.Topic().Entity != probe.Entity || l.Entry.Topic().Type != probe.Type
		})
		if got := a.named(probe.Entity, probe.Type); !slices.Equal(got, named) {
			t.Fatalf("named: %v, want %v", got, named)
		}
	}
	if a = a.without(a.entries()); a != nil {
		t.Errorf("%v is left", a)
	}
}
