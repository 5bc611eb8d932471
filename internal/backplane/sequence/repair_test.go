package sequence_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// counted returns the nth event of a lane, with a text.
func (h *host) counted(n uint64, id events.ID, text string) sequence.Message {
	return sequence.Message{
		Position: backplane.Position{N: n, ID: backplane.StreamID{Milliseconds: 1000 + n}},
		Event:    events.Event{ID: id, Data: []byte(text)},
	}
}

// The lane dropped held counted messages above its bound, and the last message was a plain one. Nothing then showed
// that the journal had more: the dropped events came with the next counted event, if ever.
func TestLane_readsDroppedMessagesFromTheJournal(t *testing.T) {
	h := newHost()
	arrive := func(n uint64) {
		m := h.counted(n, id(n), "{}")
		h.Live(h, h.now, &m)
	}
	const last = 1001
	arrive(2)
	read, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	for n := uint64(3); n <= last; n++ {
		arrive(n)
	}
	h.live(5000, false)
	page := &sequence.Page{Generation: read.Generation, Counter: 2}
	for n := uint64(1); n <= 2; n++ {
		page.Entries = append(page.Entries, h.counted(n, id(n), "{}"))
	}
	h.Page(h, h.now, page)
	for reads := 0; h.Repairing() && reads < 100; reads++ {
		read, ok := h.Want()
		if !ok {
			t.Fatal("no read")
		}
		page := &sequence.Page{Generation: read.Generation, Counter: last}
		for n := uint64(1); n <= last; n++ {
			m := h.counted(n, id(n), "{}")
			if m.ID.Compare(read.After) > 0 && len(page.Entries) < read.Count {
				page.Entries = append(page.Entries, m)
			}
		}
		page.More = len(page.Entries) == read.Count
		h.Page(h, h.now, page)
	}
	if len(h.got) != last+1 || h.got[last] != id(5000) {
		t.Errorf("%d events were delivered, want %d and then the plain one", len(h.got), last)
	}
}

// An event without an Id had the same text as an earlier one. Its number showed that it was another event, but it was
// skipped when it came from the journal.
func TestLane_deliversTheSameTextTwice(t *testing.T) {
	h := newHost()
	texts := []string{`{"Status":"Available"}`, `{"Status":"Busy"}`, `{"Status":"Available"}`}
	page := &sequence.Page{Counter: uint64(len(texts))}
	for i, text := range texts {
		m := h.counted(uint64(i+1), events.ID{}, text)
		page.Entries = append(page.Entries, m)
		if i < 2 {
			h.Live(h, h.now, &m)
		}
	}
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	read, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	page.Generation = read.Generation
	h.Page(h, h.now, page)
	if len(h.got) != len(texts) {
		t.Errorf("%d events were delivered, want %d", len(h.got), len(texts))
	}
}
