package sequence_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// A failover lost the latest events. The journal still had earlier ones, so the lane did not compare the counter. It
// noticed the fork with the next event, and reported the time since a proof from after the failover, in which nothing
// was lost.
func TestLane_reportsTheTimeOfAFork(t *testing.T) {
	h := newHost()
	for n := uint64(1); n <= 2; n++ {
		m := h.counted(n, id(n), "{}")
		h.Live(h, h.now, &m)
	}
	before := &sequence.Era{ServerTime: backplane.StreamID{Milliseconds: 1}, At: h.now, Requested: h.now}
	h.now = h.now.Add(time.Second)
	h.Broken(h.now, sequence.Break{Era: before, Changed: true, Reason: backplane.LossOutage})
	read, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	page := &sequence.Page{Generation: read.Generation, Counter: 1}
	page.Entries = append(page.Entries, h.counted(1, id(1), "{}"))
	h.Page(h, h.now, page)
	answerNothing(t, h)
	isFork := func(l backplane.Loss) bool { return l.Reason == backplane.LossFork && l.From.Equal(before.Requested) }
	if !slices.ContainsFunc(h.losses, isFork) {
		t.Errorf("reported %+v, want a fork since %s", h.losses, before.Requested)
	}
	h.losses = nil
	next := h.counted(2, id(3), "{}")
	next.ID.Milliseconds += 5000
	if h.Live(h, h.now, &next); h.Repairing() || h.got[len(h.got)-1] != id(3) {
		t.Error("the next event of the new server is held back")
	}
}

// answerNothing answers the peer query of a lane, if it makes one: no other node knows anything.
func answerNothing(t *testing.T, h *host) {
	t.Helper()
	if !h.Repairing() {
		return
	}
	read, ok := h.Want()
	if !ok || !read.Peers {
		t.Fatal("no peer query")
	}
	h.Answer(h, h.now, &sequence.Answer{Generation: read.Generation})
}

// The publishers of a lane wrote the journal, without numbers. An interruption lasted longer than the journal: the
// trimmed events were missing, and nothing reported them.
func TestLane_reportsATrimmedJournal(t *testing.T) {
	for name, test := range map[string]struct {
		oldest uint64 // in the journal
		want   int    // losses
	}{
		"goes back to before":        {20, 0},
		"lacks some of the missing":  {22, 1},
		"lacks all that are missing": {24, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			h.now = h.now.Add(time.Hour)
			var journal []sequence.Message
			add := func(arrives bool) {
				h.now = h.now.Add(time.Second)
				m := h.entry(uint64(len(journal)), 1, h.now)
				if journal = append(journal, m); arrives {
					h.arrive(m)
				}
			}
			for range 21 {
				add(true)
			}
			h.now = h.now.Add(3 * time.Second)
			era := &sequence.Era{
				ServerTime: backplane.StreamID{Milliseconds: uint64(h.now.UnixMilli())}, At: h.now, Requested: h.now,
			}
			if read, ok := h.Audit(); ok {
				h.Audited(h, h.now, &sequence.Page{Generation: read.Generation, Entries: journal})
			}
			if !h.Journaled(h.now) {
				t.Fatal("the lane does not trust its journal")
			}
			for range 3 {
				add(false)
			}
			h.Broken(h.now, sequence.Break{Era: era, Reason: backplane.LossOutage})
			read, ok := h.Want()
			if !ok {
				t.Fatal("no read")
			}
			h.Page(h, h.now, &sequence.Page{Generation: read.Generation, Entries: journal[test.oldest:]})
			answerNothing(t, h)
			if len(h.losses) != test.want {
				t.Errorf("reported %+v, want %d losses", h.losses, test.want)
			}
		})
	}
}

// A lane that waits for its journal must not keep all that arrives meanwhile.
func TestLane_boundsWhatItHolds(t *testing.T) {
	h := newHost()
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	for n := range uint64(2500) {
		h.live(n, false)
	}
	if h.overflows < 1500 {
		t.Errorf("%d of 2500 messages were dropped: the others are held", h.overflows)
	}
	read, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	h.Page(h, h.now, &sequence.Page{Generation: read.Generation})
	answerNothing(t, h)
	if len(h.losses) != 1 || len(h.got)+h.overflows != 2500 {
		t.Errorf("%d delivered, %d dropped, reported %+v", len(h.got), h.overflows, h.losses)
	}
}

// The result of a read came after another interruption. It does not show what was published since.
func TestLane_ignoresThePageOfAnEarlierRepair(t *testing.T) {
	h := newHost()
	m := h.counted(1, id(1), "{}")
	h.Live(h, h.now, &m)
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	old, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	if _, ok := h.Want(); !ok {
		t.Fatal("no second read")
	}
	h.Page(h, h.now, &sequence.Page{Generation: old.Generation, Counter: 1})
	if len(h.losses) > 0 || !h.Repairing() {
		t.Errorf("the repair has ended, and reported %+v", h.losses)
	}
}

// The result of a read came after the lane was subscribed again. Its entries are from before that.
func TestLane_ignoresThePageOfAnEarlierSubscription(t *testing.T) {
	h := newHost()
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	old, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	h.Reset()
	h.Start(h.now, backplane.Position{}, true)
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	if _, ok := h.Want(); !ok {
		t.Fatal("no second read")
	}
	page := &sequence.Page{Generation: old.Generation, Counter: 1}
	page.Entries = append(page.Entries, h.counted(1, id(1), "{}"))
	h.Page(h, h.now, page)
	if len(h.got) > 0 || len(h.losses) > 0 || !h.Repairing() {
		t.Errorf("the page was taken: delivered %v, reported %+v", h.got, h.losses)
	}
}

// The node reads the end of the journal and then subscribes. An event in between was delivered seconds later, when the
// server had changed: behind newer ones, to clients that had subscribed after it.
func TestLane_deliversNothingLateFromTheMomentOfItsSubscription(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		pause := func(most int) {
			w.now += time.Duration(rapid.IntRange(0, most).Draw(t, "pause")) * time.Millisecond
		}
		w.publish(journaled)
		pause(100)
		origin := backplane.Position{ID: w.lastID, N: w.counter}
		for range rapid.IntRange(1, 3).Draw(t, "between") {
			w.publish(journaled)
			pause(100)
		}
		before := uint64(len(w.tiers))
		w.wire = nil
		w.lane.Reset()
		w.lane.Start(w.time(), origin, true)
		for range rapid.IntRange(1, 5).Draw(t, "behind it") {
			w.publish(journaled)
			w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()})
			pause(400)
		}
		w.receive(len(w.wire))
		for range rapid.IntRange(0, 3).Draw(t, "missed") {
			w.publish(journaled)
		}
		w.behind = time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "behind")) * time.Millisecond
		w.breaks(0, true)
		w.publish(journaled)
		w.finish()
		if !slices.IsSorted(w.delivered) {
			t.Errorf("events came in the order %v", w.delivered)
		}
		for number := range uint64(len(w.tiers)) {
			if w.seen[number] != (number >= before) {
				t.Errorf("event %d of %d, with %d before the subscription: delivered %t",
					number, len(w.tiers), before, w.seen[number])
			}
		}
	})
}

// The clock of the new server was behind. The next interruption was read from the time of the old server on: the
// journal seemed to have lost what it had, and the events never came.
func TestLane_readsAgainBeforeItReportsALoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.publish(counted)
		w.now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond
		w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()})
		w.receive(len(w.wire))
		w.failover(0, time.Duration(rapid.IntRange(0, 8000).Draw(t, "behind"))*time.Millisecond)
		w.breaks(0, true)
		w.finish()
		for range rapid.IntRange(1, 3).Draw(t, "missed") {
			w.publish(counted)
		}
		w.breaks(0, false)
		w.request()
		for range rapid.IntRange(0, 2).Draw(t, "meanwhile") {
			w.publish(counted)
			w.receive(rapid.IntRange(0, 1).Draw(t, "arrives"))
		}
		w.answer()
		w.finish()
		delete(w.losses, backplane.LossOutage) // of publishers that write no journal: the lane is new
		if len(w.losses) > 0 || len(w.delivered) != len(w.tiers) {
			t.Errorf("%d of %d events were delivered, losses %v", len(w.delivered), len(w.tiers), w.losses)
		}
	})
}

// A lane was subscribed less than five seconds before its server changed. It took the entries from before its
// subscription for new ones: clients got old events behind newer ones, and the last state that they showed was old.
func TestLane_deliversNothingFromBeforeItsSubscription(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.mix = []tier{counted, journaled}
		for range rapid.IntRange(1, 10).Draw(t, "before") {
			w.publish(rapid.SampledFrom(w.mix).Draw(t, "tier"))
			w.now += time.Duration(rapid.IntRange(1, 2000).Draw(t, "pause")) * time.Millisecond
		}
		before := uint64(len(w.tiers))
		w.wire = nil
		w.lane.Reset()
		w.lane.Start(w.time(), backplane.Position{ID: w.lastID, N: w.counter}, true)
		w.steps(t, func() {
			w.behind = time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "behind")) * time.Millisecond
			w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), true)
		})
		if !slices.IsSorted(w.delivered) {
			t.Errorf("events came in the order %v", w.delivered)
		}
		for number := range uint64(len(w.tiers)) {
			if w.seen[number] != (number >= before) {
				t.Errorf("event %d of %d, with %d before the subscription: delivered %t",
					number, len(w.tiers), before, w.seen[number])
			}
		}
	})
}

// Redis lost the journal and the counter while the connection lasted.
func TestLane_reportsAForkOfALiveLane(t *testing.T) {
	h := newHost()
	for n := uint64(1); n <= 2; n++ {
		m := h.counted(n, id(n), "{}")
		h.Live(h, h.now, &m)
	}
	m := h.counted(1, id(3), "{}")
	m.ID.Milliseconds += 5000
	h.Live(h, h.now, &m)
	read, ok := h.Want()
	if !ok {
		t.Fatal("no read")
	}
	h.Page(h, h.now, &sequence.Page{Generation: read.Generation, Counter: 1, Entries: []sequence.Message{m}})
	if len(h.losses) != 1 || h.losses[0].Reason != backplane.LossFork || h.got[len(h.got)-1] != id(3) {
		t.Errorf("delivered %v, reported %+v", h.got, h.losses)
	}
}

// The journal was trimmed during a repair, and lacked a state that had arrived meanwhile. It came behind later ones
// from the journal, and remained the last one that clients saw.
func TestLane_deliversNoHeldStateBehindALaterOne(t *testing.T) {
	for name, states := range map[string]bool{"states": true, "events that are no states": false} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			h.states = states
			h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
			h.live(1, false)
			h.live(2, false)
			for reads := 0; h.Repairing() && reads < 10; reads++ {
				read, ok := h.Want()
				switch {
				case !ok:
					t.Fatal("no read")
				case read.Peers:
					h.Answer(h, h.now, &sequence.Answer{Generation: read.Generation})
				default:
					later := h.counted(0, id(2), "{}")
					later.ID.Milliseconds = 2000
					h.Page(h, h.now, &sequence.Page{Generation: read.Generation, Entries: []sequence.Message{later}})
				}
			}
			want := []events.ID{id(2), id(1)}
			if states {
				want = want[:1]
			}
			if !slices.Equal(h.got, want) {
				t.Errorf("delivered %v, want %v", h.got, want)
			}
		})
	}
}

// The same with a state that another node had, see TestLane_deliversNoHeldStateBehindALaterOne.
func TestLane_takesNoStateFromPeersBehindALaterOne(t *testing.T) {
	h := newHost()
	h.states = true
	h.live(1, false)
	h.Broken(h.now, sequence.Break{Reason: backplane.LossOutage})
	for reads := 0; h.Repairing() && reads < 10; reads++ {
		read, ok := h.Want()
		switch {
		case !ok:
			t.Fatal("no read")
		case read.Peers:
			h.Answer(h, h.now, &sequence.Answer{Generation: read.Generation, Complete: true, Events: []events.Event{
				{ID: id(2), Data: []byte("{}")}, {ID: id(3), Data: []byte("{}")},
			}})
		default:
			later := h.counted(0, id(3), "{}")
			later.ID.Milliseconds = 2000
			h.Page(h, h.now, &sequence.Page{Generation: read.Generation, Entries: []sequence.Message{later}})
		}
	}
	if want := []events.ID{id(1), id(3)}; !slices.Equal(h.got, want) {
		t.Errorf("delivered %v, want %v", h.got, want)
	}
}
