package sequence_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// account checks the reports of a lane besides events: for each call of the lane, those about the message, and for each
// repair its beginning, the number of events that it found, and the worst loss.
type account struct {
	entries  map[uint64]bool // of the page that the lane takes now; nil: it takes none
	peers    bool            // the lane takes the answer of another node now
	got      []uint64        // delivered by this call
	plain    []uint64        // noted as plain by this call
	read     []uint64        // decoded by this call
	doubles  []sequence.DuplicateKind
	repaired int // calls of Repaired by this call

	began    time.Time // of the repair
	found    int       // events that the repair found
	perhaps  int       // further events that it found, unless they come from the held messages
	kind     sequence.GapKind
	unlisted bool // something must still be reported
	trimmed  int  // events reported as trimmed
}

// text returns the data of an event.
func text(number uint64) []byte { return fmt.Appendf(nil, `{"n":%d}`, number) }

// call lets the lane do something, and then checks what it reported.
func (w *world) call(do func()) {
	a := &w.account
	a.got, a.plain, a.read, a.doubles, a.repaired = nil, nil, nil, nil, 0
	before := w.lane.Repairing()
	if !before {
		a.began, a.found, a.perhaps, a.kind, a.unlisted = w.time(), 0, 0, sequence.GapRepaired, false
		clear(w.isHeld)
	}
	do()
	if before && !w.lane.Repairing() && a.unlisted {
		w.t.Fatalf("a repair that found %d events ended without a report", a.found)
	}
	if a.repaired > 1 {
		w.t.Fatalf("a repair was reported %d times", a.repaired)
	}
	for _, number := range a.got {
		fromJournal, held := a.entries[number], w.isHeld[number]
		noted := slices.Contains(a.plain, number)
		if want := w.tiers[number] != counted && !fromJournal; noted != want && !(held && fromJournal) {
			w.t.Fatalf("event %d was noted as plain: %v, want %v", number, noted, want)
		}
	}
}

// live lets a message arrive in a buffer that the next message overwrites.
func (w *world) live(m sequence.Message) {
	number := numberOf(&m.Event)
	known := w.seen[number]
	w.buffer = append(w.buffer[:0], m.Event.Data...)
	m.Event.Data = w.buffer
	m.Skimmed = number%4 == 3
	held := w.lane.Repairing()
	w.call(func() { w.lane.Live(w, w.time(), &m) })
	for i := range w.buffer {
		w.buffer[i] = 'x'
	}
	a := &w.account
	held = held || w.lane.Repairing()
	w.isHeld[number] = held
	switch {
	case held && m.Skimmed && !slices.Equal(a.read, []uint64{number}):
		w.t.Fatalf("event %d is held back, and %v were decoded", number, a.read)
	case held:
	case m.Skimmed:
		if len(a.got)+len(a.doubles) > 0 && m.N == 0 || (m.N == 0) != slices.Equal(a.plain, []uint64{number}) {
			w.t.Fatalf("unwanted event %d: delivered %v, noted %v as plain", number, a.got, a.plain)
		}
		if !known && len(a.doubles) == 0 {
			w.seen[number] = true
			w.delivered = append(w.delivered, number)
		}
	case len(a.doubles)+len(a.got) != 1 || known && len(a.got) == 1 || !known && len(a.got) == 0 && !w.forgot:
		w.t.Fatalf("event %d, known before: %v; delivered %v, duplicates %v", number, known, a.got, a.doubles)
	}
}

func (w *world) page(p *sequence.Page) {
	w.account.entries = map[uint64]bool{}
	for i := range p.Entries {
		w.account.entries[numberOf(&p.Entries[i].Event)] = true
	}
	w.call(func() { w.lane.Page(w, w.time(), p) })
	w.account.entries = nil
}

func (w *world) peerAnswer(a *sequence.Answer) {
	w.account.peers = true
	w.call(func() { w.lane.Answer(w, w.time(), a) })
	w.account.peers = false
}

func (w *world) broken(b sequence.Break) { w.call(func() { w.lane.Broken(w.time(), b) }) }

func numberOf(ev *events.Event) uint64 { return binary.BigEndian.Uint64(ev.ID[:]) - 1 }

func (w *world) Deliver(ev *events.Event) {
	number := numberOf(ev)
	if w.seen[number] {
		w.t.Fatalf("event %d was delivered twice", number)
	}
	if string(ev.Data) != string(text(number)) {
		w.t.Fatalf("event %d was delivered as %q", number, ev.Data)
	}
	w.seen[number] = true
	w.delivered = append(w.delivered, number)
	a := &w.account
	a.got = append(a.got, number)
	switch held := w.isHeld[number]; {
	case (a.entries[number] || a.peers) && held:
		a.perhaps++
	case a.entries[number] || a.peers:
		a.found++
		a.unlisted = true
	}
}

func (w *world) Plain(ev *events.Event) { w.account.plain = append(w.account.plain, numberOf(ev)) }
func (w *world) Read(ev *events.Event)  { w.account.read = append(w.account.read, numberOf(ev)) }

func (w *world) Duplicate(kind sequence.DuplicateKind) {
	w.account.doubles = append(w.account.doubles, kind)
}

func (w *world) Repaired(kind sequence.GapKind, delivered int, took time.Duration) {
	a := &w.account
	a.repaired++
	if kind != a.kind || delivered < a.found || delivered > a.found+a.perhaps || took != w.time().Sub(a.began) {
		w.t.Fatalf("reported %v, %d events in %v, want %+v", kind, delivered, took, *a)
	}
	a.found, a.perhaps, a.kind, a.unlisted = 0, 0, sequence.GapRepaired, false
}

func (w *world) Lost(loss backplane.Loss) {
	w.losses[loss.Reason]++
	w.reported = append(w.reported, loss)
	a := &w.account
	a.unlisted = true
	switch loss.Reason {
	case backplane.LossFork:
		a.kind = max(a.kind, sequence.GapFork)
		if a.kind == sequence.GapPlain {
			a.kind = sequence.GapFork // the last reason names the kind
		}
	case backplane.LossTrimmed:
		a.kind = sequence.GapLost
		a.trimmed += loss.Events
	default:
		a.kind = sequence.GapPlain
	}
	if loss.To != w.time() || loss.From.After(loss.To) {
		w.t.Fatalf("at %v, a loss was reported from %v to %v", w.time(), loss.From, loss.To)
	}
}

// The number of events that are reported to have left the journal is the number of those that are missing. The journal
// keeps its last entry: without any, messages that are on their way are reported, too, and then arrive.
func TestLane_countsTrimmedEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.mix = []tier{counted}
		trim := func() { w.trim(rapid.IntRange(1, 3).Draw(t, "keep")) }
		w.steps(t, trim, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		missing := 0
		for number := range w.tiers {
			if !w.seen[uint64(number)] {
				missing++
			}
		}
		if w.account.trimmed != missing {
			t.Fatalf("%d events are missing, %d were reported: %+v", missing, w.account.trimmed, w.reported)
		}
		if got, want := w.lane.Last().N, w.counter; got != want {
			t.Fatalf("the lane is at number %d, the server at %d", got, want)
		}
	})
}

// A publisher dies between the journal and the message. Without an interruption, only an audit finds the event.
func TestLane_findsInAnAuditWhatDidNotArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.now += 5 * time.Second
		canary := func() {
			w.wire = append(w.wire, packet{canary: w.serverID(), sent: w.time()})
		}
		audits := 0
		audit := func() {
			if read, ok := w.lane.Audit(); ok {
				audits++
				w.audited(read)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now += time.Duration(rapid.IntRange(1, 300).Draw(t, "pause")) * time.Millisecond
			switch rapid.IntRange(0, 5).Draw(t, "action") {
			case 0:
				w.publish(counted)
			case 1:
				w.publish(journaled)
			case 2:
				w.publish(journaled)
				w.wire = w.wire[:len(w.wire)-1]
			case 3:
				canary()
			case 4:
				audit()
			default:
				w.receive(len(w.wire))
			}
		}
		w.publish(journaled)
		w.receive(len(w.wire))
		w.now += 2500 * time.Millisecond
		canary()
		w.publish(journaled)
		w.receive(len(w.wire))
		audits = 0
		audit()
		for number := range w.tiers {
			if !w.seen[uint64(number)] {
				t.Fatalf("event %d of %d is missing", number, len(w.tiers))
			}
		}
		audit() // there is nothing new
		if audits != 1 {
			t.Fatalf("%d audits at the end, want 1", audits)
		}
	})
}

// audited lets an audit take the latest entries of the journal.
func (w *world) audited(read sequence.Read) {
	latest := w.journal[max(0, len(w.journal)-read.Count):]
	p := &sequence.Page{Generation: read.Generation, Entries: slices.Clone(latest)}
	before := len(w.delivered)
	w.account.entries = map[uint64]bool{}
	for i := range p.Entries {
		w.account.entries[numberOf(&p.Entries[i].Event)] = true
	}
	w.call(func() { w.lane.Audited(w, w.time(), p) })
	w.account.entries = nil
	if found := len(w.delivered) - before; (w.account.repaired > 0) != (found > 0) {
		w.t.Fatalf("an audit found %d events, and made %d reports", found, w.account.repaired)
	}
}
