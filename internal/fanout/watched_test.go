package fanout

import (
	"testing"

	"github.com/rte-server/rte-server/internal/events"
)

// The recorded states grew for as long as a replay of the topic began before the others had ended.
func TestWatched_staysSmallWhileReplaysOverlap(t *testing.T) {
	d, err := New(Options{JSON: nothing{}, Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, e := d.shards[0], d.registry.Acquire(events.Topic{})
	type running struct {
		outbox *Outbox
		replay *Replay
	}
	var overlapping []running
	note := func(key int) {
		s.number++
		b := &broadcast{entry: e, state: true, key: events.ID{byte(key), byte(key >> 8), byte(key >> 16)}}
		b.frames[ProtocolJSON] = Frame{Bytes: []byte("x")}
		s.recordDelivered(&command{broadcast: b, number: s.number})
	}
	for n := range 10_000 {
		next := running{&Outbox{shard: s}, NewReplay([]*Entry{e})}
		s.beginReplay(next.outbox, next.replay)
		overlapping = append(overlapping, next)
		for key := range 10 {
			note(10*n + key) // states that come once
		}
		if len(overlapping) > 3 {
			// Replays that began at different times end in any order.
			i := n % len(overlapping)
			s.endReplay(overlapping[i].outbox, overlapping[i].replay)
			overlapping = append(overlapping[:i], overlapping[i+1:]...)
		}
		if kept := len(s.watched[e].last); kept > 1000 {
			t.Fatalf("%d states are recorded", kept)
		}
		since := overlapping[0].replay.since
		for number := since + 1; number <= s.number; number++ {
			key := int(number) - 1
			last := s.watched[e].last[events.ID{byte(key), byte(key >> 8), byte(key >> 16)}]
			if last[ProtocolJSON] != number {
				t.Fatalf("event %d is missing, a replay began at %d", number, since)
			}
		}
	}
	for _, r := range overlapping {
		s.endReplay(r.outbox, r.replay)
	}
	if len(s.watched) > 0 {
		t.Error("the topic is still watched")
	}
}

// nothing makes empty frames.
type nothing struct{}

func (nothing) Encode(*events.Event) (Frame, error) { return Frame{}, nil }
