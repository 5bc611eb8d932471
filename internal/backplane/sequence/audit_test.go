package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// entry is an event of a user that a publisher without a counter put into the journal at a time.
func (h *listener) entry(number uint64, user byte, at time.Time) sequence.Message {
	return sequence.Message{
		Position: backplane.Position{ID: backplane.StreamID{Milliseconds: uint64(at.UnixMilli())}},
		Event:    events.Event{ID: id(number), Topic: events.Topic{Entity: events.ID{15: user}}, Data: []byte("{}")},
	}
}

// arrive has the message of an entry come now.
func (h *listener) arrive(m sequence.Message) {
	m.Position = backplane.Position{}
	h.Live(h, h.now, &m)
}

// hear proves that what was published until now has arrived.
func (h *listener) hear() {
	m := h.entry(9999, 99, h.now)
	m.Position = backplane.Position{}
	m.Era = &sequence.Era{Settled: backplane.StreamID{Milliseconds: uint64(h.now.UnixMilli())}, At: h.now, Asked: h.now}
	h.Live(h, h.now, &m)
}

// A publisher adds an event to the journal and dies before it says so on the lane; then another publishes of the same
// user. What the first one knew came seconds later, from the journal, and was taken for the latest.
func TestLane_lateStateIsNotTheLatest(t *testing.T) {
	for name, test := range map[string]struct {
		states bool
		users  [2]byte // of the first event, which did not arrive, and of the second
		second bool    // it arrived
		want   []uint64
	}{
		"replaced":             {true, [2]byte{1, 1}, true, []uint64{2}},
		"of another user":      {true, [2]byte{1, 2}, true, []uint64{2, 1}},
		"neither arrived":      {true, [2]byte{1, 1}, false, []uint64{1, 2}},
		"events are no states": {false, [2]byte{1, 1}, true, []uint64{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			journal := func(h *listener) []sequence.Message {
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
			check := func(t *testing.T, h *listener) {
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
				h := newListener()
				entries := journal(h)
				h.now = h.now.Add(10 * time.Second)
				h.hear()
				read, ok := h.Audit()
				if !ok {
					t.Fatal("no audit")
				}
				for range 2 { // it stays so
					h.Audited(h, h.now, &sequence.Page{Generation: read.Generation, Entries: entries})
				}
				check(t, h)
			})
			t.Run("repair", func(t *testing.T) {
				h := newListener()
				h.hear()
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
