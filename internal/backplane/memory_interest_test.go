package backplane_test

import (
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/events"
)

// choosy is a Sink that wants the events of some topics only.
type choosy struct {
	wanted map[events.Topic]bool
	got    []string
}

func (c *choosy) Offer(ev *events.Event) bool {
	c.Dispatch(ev)
	return true
}

func (c *choosy) Dispatch(ev *events.Event) { c.got = append(c.got, string(ev.Data)) }

func (c *choosy) Wants(topic events.Topic) bool { return c.wanted[topic] }

func TestMemory_decodesOnlyWantedEvents(t *testing.T) {
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
	sink := &choosy{wanted: map[events.Topic]bool{}}
	m := backplane.NewMemory(backplane.Options{
		Catalog: catalog, Sink: sink,
		Decoder: events.NewIngress(events.IngressOptions{Catalog: catalog, Validation: events.ValidateOff}),
	})
	m.Acquire(t.Context(), []events.Topic{topic(call), topic(state)})
	publish := func(data string) error { return m.Publish(t.Context(), []byte(data)) }

	if err := publish(strings.TrimSuffix(call, "}")); err != nil {
		t.Errorf("an unwanted event was decoded to its end: %v", err)
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
		t.Errorf("of an unwanted state %v is retained: %v", kept, err)
	}

	sink.wanted[topic(call)], sink.wanted[topic(state)] = true, true
	if err := publish(strings.TrimSuffix(call, "}")); err == nil {
		t.Error("a wanted event was not decoded to its end")
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

// busy is a Sink that accepts no events of one organization until it has received one of another.
type busy struct {
	choosy

	organization events.ID
	done         chan struct{} // closed when it accepts them
}

func (b *busy) Wants(events.Topic) bool { return true }

func (b *busy) Dispatch(ev *events.Event) {
	if ev.Organization == b.organization {
		<-b.done
	}
	b.choosy.Dispatch(ev)
}

func (b *busy) Offer(ev *events.Event) bool {
	select {
	case <-b.done:
	default:
		if ev.Organization == b.organization {
			return false
		}
	}
	if ev.Organization != b.organization {
		close(b.done) // the other organization did not wait
	}
	b.choosy.Dispatch(ev)
	return true
}

func TestMemory_servesBusyOrganizationsLast(t *testing.T) {
	message := func(i int) string { return string(missed("UserCallInArrived", "User", 1024)[i]) }
	other := strings.ReplaceAll(message(2), missOrganization.String(), events.ID{0xee}.String())
	sink := &busy{organization: missOrganization, done: make(chan struct{})}
	m := backplane.NewMemory(backplane.Options{
		Catalog: events.Builtin(), Sink: sink,
		Decoder: events.NewIngress(events.IngressOptions{Catalog: events.Builtin()}),
	})
	var batch [][]byte
	for _, data := range []string{message(0), message(1), "malformed", other, message(3)} {
		batch = append(batch, []byte(data))
		if topic, err := events.Builtin().Topic([]byte(data)); err == nil {
			m.Acquire(t.Context(), []events.Topic{topic})
		}
	}
	for i, err := range m.PublishBatch(t.Context(), batch) {
		if (err != nil) != (i == 2) {
			t.Errorf("event %d: %v", i, err)
		}
	}
	want := strings.Join([]string{other, message(0), message(1), message(3)}, "\n")
	if got := strings.Join(sink.got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
