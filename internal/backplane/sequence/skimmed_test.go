package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// host is a Host with a lane and without a journal.
type host struct {
	sequence.Lane

	now        time.Time
	states     bool // events are states
	got        []events.ID
	read       []events.ID
	losses     []backplane.Loss
	duplicates int
	overflows  int
}

func newHost() *host {
	h := &host{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.Start(h.now, backplane.Position{}, true)
	return h
}

func (h *host) Deliver(ev *events.Event)                      { h.got = append(h.got, ev.ID) }
func (h *host) StateKey(*events.Event) (events.ID, bool)      { return events.ID{}, h.states }
func (h *host) Read(ev *events.Event)                         { h.read = append(h.read, ev.ID) }
func (h *host) Plain(*events.Event)                           {}
func (h *host) Duplicate(sequence.DuplicateKind)              { h.duplicates++ }
func (h *host) Overflow()                                     { h.overflows++ }
func (h *host) Repaired(sequence.GapKind, int, time.Duration) {}
func (h *host) Lost(loss backplane.Loss)                      { h.losses = append(h.losses, loss) }

// live lets a plain event arrive.
func (h *host) live(number uint64, skimmed bool) {
	ev := events.Event{ID: id(number), Data: []byte("{}")}
	h.Live(h, h.now, &sequence.Message{Event: ev, Shared: true, Skimmed: skimmed})
}

func TestLane_knowsTheIdsOfSkimmedEvents(t *testing.T) {
	const count = 5000
	h := newHost()
	for round := range 2 { // the second round finds half of them in the set
		for n := range uint64(count) {
			h.live(n, round == 0 && n >= count/2 || n%3 > 0)
			if n%1000 == 999 {
				h.live(n, false)
			}
		}
	}
	var want []events.ID
	for n := uint64(0); n < count/2; n += 3 {
		want = append(want, id(n))
	}
	if !slices.Equal(h.got, want) {
		t.Errorf("%d events were delivered, want the %d that were wanted in the first round", len(h.got), len(want))
	}
	if h.duplicates == 0 {
		t.Error("no duplicates")
	}
}

// The Ids of skimmed events were not in the set yet when the lane made room for more. Each must enter it once: else the
// Id would stay in the set when the lane forgets it, and a new event with that Id would be a duplicate.
func TestLane_forgetsSkimmedEventsFromBeforeItGrew(t *testing.T) {
	const room = 16 // Ids that a lane has room for at first
	h := newHost()
	h.live(0, false)
	for n := range uint64(room) {
		h.live(1+n, true)
	}
	h.now = h.now.Add(time.Minute)
	for n := range uint64(2 * room) {
		h.live(100+n, false)
	}
	h.now = h.now.Add(time.Minute)
	h.got = nil
	for n := range uint64(room) {
		h.live(1+n, false)
	}
	if len(h.got) != room || h.duplicates > 0 {
		t.Errorf("%d of %d forgotten events were delivered, %d were duplicates", len(h.got), room, h.duplicates)
	}
}

// A held event may be wanted by the time it is delivered.
func TestLane_decodesSkimmedEventsThatAreHeld(t *testing.T) {
	h := newHost()
	h.live(0, true)
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	h.live(1, true)
	h.live(2, false)
	h.live(0, false)
	for range 2 { // the journal, and other nodes
		read, ok := h.Want()
		switch {
		case !ok:
		case read.Peers:
			h.Answer(h, h.now, &sequence.Answer{Generation: read.Generation, Complete: true})
		default:
			h.Page(h, h.now, &sequence.Page{Generation: read.Generation})
		}
	}
	if want := []events.ID{id(1)}; !slices.Equal(h.read, want) {
		t.Errorf("read %v, want %v", h.read, want)
	}
	if want := []events.ID{id(1), id(2)}; !slices.Equal(h.got, want) {
		t.Errorf("delivered %v, want %v", h.got, want)
	}
}
