package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// entry returns a journal entry of a publisher without a counter: an event of a user at a time.
func (h *host) entry(number uint64, user byte, at time.Time) sequence.Message {
	return sequence.Message{
		Position: backplane.Position{ID: backplane.StreamID{Milliseconds: uint64(at.UnixMilli())}},
		Event:    events.Event{ID: id(number), Topic: events.Topic{Entity: events.ID{15: user}}, Data: []byte("{}")},
	}
}

// arrive delivers the message of an entry now.
func (h *host) arrive(m sequence.Message) {
	m.Position = backplane.Position{}
	h.Live(h, h.now, &m)
}

// prove proves that all messages published until now have arrived.
func (h *host) prove() {
	m := h.entry(9999, 99, h.now)
	m.Position = backplane.Position{}
	m.Era = &sequence.Era{
		ServerTime: backplane.StreamID{Milliseconds: uint64(h.now.UnixMilli())}, At: h.now, Requested: h.now,
	}
	h.Live(h, h.now, &m)
}

// A publisher adds an event to the journal and dies before it sends the message. Then another publisher sends a newer
// state of the same user. Seconds later, the first event came from the journal and appeared to be the latest state.
func TestLane_doesNotDeliverReplacedStates(t *testing.T) {
	for name, test := range map[string]struct {
		states bool
		users  [2]byte // of the first event, which did not arrive, and the second
		second bool    // the second one arrived
		want   []uint64
	}{
		"replaced":             {true, [2]byte{1, 1}, true, []uint64{2}},
		"of another user":      {true, [2]byte{1, 2}, true, []uint64{2, 1}},
		"neither arrived":      {true, [2]byte{1, 1}, false, []uint64{1, 2}},
		"events are no states": {false, [2]byte{1, 1}, true, []uint64{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			journal := func(h *host) []sequence.Message {
				h.states = test.states
				h.now = h.now.Add(time.Minute)
				first := h.entry(1, test.users[0], h.now)
				h.now = h.now.Add(10 * time.Millisecond)
				second := h.entry(2, test.users[1], h.now)
				if test.second {
					h.arrive(second)
				}
				return []sequence.Message{first, second}
			}
			check := func(t *testing.T, h *host) {
				t.Helper()
				got := slices.DeleteFunc(h.got, func(got events.ID) bool { return got == id(9999) })
				want := make([]events.ID, len(test.want))
				for i, number := range test.want {
					want[i] = id(number)
				}
				if !slices.Equal(got, want) {
					t.Errorf("delivered %v, want %v", got, want)
				}
			}
			t.Run("audit", func(t *testing.T) {
				h := newHost()
				entries := journal(h)
				h.now = h.now.Add(10 * time.Second)
				h.prove()
				read, ok := h.Audit()
				if !ok {
					t.Fatal("no audit")
				}
				for range 2 { // a second audit changes nothing
					h.Audited(h, h.now, &sequence.Page{Generation: read.Generation, Entries: entries})
				}
				check(t, h)
			})
			t.Run("repair", func(t *testing.T) {
				h := newHost()
				h.prove()
				entries := journal(h)
				h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
				read, ok := h.Want()
				if !ok {
					t.Fatal("no read")
				}
				h.Page(h, h.now, &sequence.Page{Generation: read.Generation, Entries: entries})
				check(t, h)
			})
		})
	}
}

// A publisher repeated an event a minute later. The repetition was left out, but its Id was forgotten with the first
// publication. An audit then found the repetition in the journal and delivered the event again, after later ones.
func TestLane_deliversNoRepetitionLate(t *testing.T) {
	for name, skimmed := range map[string]bool{"wanted": false, "first unwanted": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			h.prove()
			h.now = h.now.Add(10 * time.Second)
			first := h.entry(1, 1, h.now)
			first.Skimmed = skimmed
			h.arrive(first)
			h.now = h.now.Add(time.Minute)
			repetition := h.entry(1, 1, h.now)
			h.arrive(repetition)
			entries := []sequence.Message{repetition}
			for n := range uint64(40) {
				h.now = h.now.Add(10 * time.Millisecond)
				m := h.entry(100+n, 1, h.now)
				h.arrive(m)
				entries = append(entries, m)
			}
			h.now = h.now.Add(10 * time.Second)
			h.prove()
			read, ok := h.Audit()
			if !ok {
				t.Fatal("no audit")
			}
			h.Audited(h, h.now, &sequence.Page{Generation: read.Generation, Entries: entries})
			if n := len(slices.DeleteFunc(h.got, func(got events.ID) bool { return got != id(1) })); n > 1 {
				t.Errorf("the event was delivered %d times", n)
			}
		})
	}
}
