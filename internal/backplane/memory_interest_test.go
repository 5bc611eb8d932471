package backplane_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// choosy is a Sink that wants the events of some topics.
type choosy struct {
	wants map[events.Topic]bool
	got   []string
}

func (c *choosy) Dispatch(ev *events.Event) { c.got = append(c.got, string(ev.Data)) }

func (c *choosy) Hears(topic events.Topic) bool { return c.wants[topic] }

func TestMemory_AsksTheSinkFirst(t *testing.T) {
	catalog := events.Builtin()
	call := string(missed("UserCallInArrived", "User", 1024)[0])
	state := string(missed("UserStatus", "User", 1024)[0])
	topic := func(data string) events.Topic {
		t.Helper()
		topic, err := catalog.Topic([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		return topic
	}
	sink := &choosy{wants: map[events.Topic]bool{}}
	m := backplane.NewMemory(backplane.Options{
		Catalog: catalog, Sink: sink,
		Decoder: events.NewIngress(events.IngressOptions{Catalog: catalog, Validation: events.ValidateOff}),
	})
	m.Acquire(t.Context(), []events.Topic{topic(call), topic(state)})
	publish := func(data string) error { return m.Publish(t.Context(), []byte(data)) }

	if err := publish(strings.TrimSuffix(call, "}")); err != nil {
		t.Errorf("an event that nobody listens to was read to its end: %v", err)
	}
	if err := publish(state); err != nil {
		t.Error(err)
	}
	if len(sink.got) != 0 {
		t.Errorf("the sink got %q", sink.got)
	}
	var kept []*events.Event
	if err := m.Snapshot(t.Context(), []events.Topic{topic(state)}, func(_ []events.Topic, last []*events.Event) {
		kept = append(kept, last...)
	}); err != nil || len(kept) != 1 || string(kept[0].Data) != state {
		t.Errorf("of a state that nobody listened to %v is kept: %v", kept, err)
	}

	sink.wants[topic(call)], sink.wants[topic(state)] = true, true
	if err := publish(strings.TrimSuffix(call, "}")); err == nil {
		t.Error("an event with listeners was not read to its end")
	}
	for _, data := range []string{call, state} {
		if err := publish(data); err != nil {
			t.Error(err)
		}
	}
	if strings.Join(sink.got, "\n") != call+"\n"+state {
		t.Errorf("the sink got %q", sink.got)
	}
}
