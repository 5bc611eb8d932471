package sequence_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/sequence"
	"github.com/rte-server/rte-server/internal/events"
)

// tier is how an event is published.
type tier int

const (
	counted   tier = iota // journal, number and message
	journaled             // journal and message
	plain                 // message
)

// world is a Redis with one lane, and a node that listens to it over a connection which breaks. Time passes by a
// millisecond per step.
type world struct {
	t     *rapid.T
	epoch time.Time
	now   time.Duration

	// The server.
	behind  time.Duration // of its clock
	lastID  backplane.StreamID
	counter uint64
	journal []sequence.Message
	tiers   []tier               // of the events published, by number
	times   []backplane.StreamID // when they were
	sent    []time.Time          // the same by the node's clock

	// The connection.
	wire []item
	era  *sequence.Era

	// The node.
	lane      sequence.Lane
	read      *sequence.Read // asked, not answered
	delivered []uint64
	seen      map[uint64]bool
	answers   bool   // another node knows all plain events
	mix       []tier // how events are published
	losses    map[backplane.LossReason]int
	told      []backplane.Loss
	forgot    bool            // Redis forgot something that it had acknowledged
	gone      map[uint64]bool // what a failover took before the node asked for it: nobody can know of it
}

// item is a message on the wire, a canary, or a question to the other nodes.
type item struct {
	message  sequence.Message
	canary   backplane.StreamID
	sung     time.Time // when the canary was
	question *sequence.Read
	asked    int // how many events had been published before
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, mix: []tier{counted, journaled, plain}, epoch: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), now: time.Hour,
		seen: map[uint64]bool{}, gone: map[uint64]bool{}, losses: map[backplane.LossReason]int{},
	}
	w.lane.Start(w.time(), backplane.Position{}, true)
	return w
}

func (w *world) time() time.Time { return w.epoch.Add(w.now) }

func (w *world) serverID() backplane.StreamID {
	return backplane.StreamID{Milliseconds: uint64((w.now - w.behind).Milliseconds())}
}

func id(number uint64) (id events.ID) {
	binary.BigEndian.PutUint64(id[:], number+1)
	return id
}

func (w *world) publish(how tier) {
	number := uint64(len(w.tiers))
	w.tiers = append(w.tiers, how)
	w.times = append(w.times, w.serverID())
	w.sent = append(w.sent, w.time())
	m := sequence.Message{Event: events.Event{ID: id(number), Data: []byte("{}")}, Shared: true}
	if how != plain {
		m.ID = w.serverID()
		if m.ID.Compare(w.lastID) <= 0 {
			m.ID = w.lastID
			m.ID.Sequence++
		}
		w.lastID = m.ID
		if how == counted {
			w.counter++
			m.N = w.counter
		}
		w.journal = append(w.journal, m)
	}
	if how == journaled {
		m.Position = backplane.Position{}
	}
	w.wire = append(w.wire, item{message: m})
}

func (w *world) receive(n int) {
	for ; n > 0 && len(w.wire) > 0; n-- {
		next := w.wire[0]
		w.wire = w.wire[1:]
		if !next.canary.IsZero() {
			w.era = &sequence.Era{Settled: next.canary, At: w.time(), Asked: next.sung}
			continue
		}
		if next.question != nil {
			w.answerAsPeer(next)
			continue
		}
		next.message.Era = w.era
		w.lane.Live(w, w.time(), &next.message)
	}
}

// breaks the connection with n messages of it having arrived.
func (w *world) breaks(n int, changed bool) {
	w.receive(n)
	w.wire = nil
	w.read = nil
	w.lane.Broken(w.time(), sequence.Break{Era: w.era, Changed: changed, Reason: backplane.LossOutage})
}

// failover loses the end of the journal.
func (w *world) failover(lost int, behind time.Duration) {
	lost = min(lost, len(w.journal))
	w.forgot = w.forgot || lost > 0
	for _, m := range w.journal[len(w.journal)-lost:] {
		w.gone[binary.BigEndian.Uint64(m.Event.ID[:])-1] = true
	}
	w.journal = w.journal[:len(w.journal)-lost]
	w.counter, w.lastID = 0, backplane.StreamID{}
	for _, m := range w.journal {
		w.counter = max(w.counter, m.N)
		w.lastID = m.ID
	}
	w.behind = behind
}

func (w *world) trim(keep int) {
	if keep < len(w.journal) {
		w.forgot = true
		w.journal = w.journal[len(w.journal)-keep:]
	}
}

func (w *world) ask() {
	r, ok := w.lane.Want()
	switch {
	case ok && r.Peers:
		w.wire = append(w.wire, item{question: &r, asked: len(w.tiers)})
	case ok:
		w.read = &r
	}
}

func (w *world) answer() {
	if w.read == nil {
		return
	}
	p := &sequence.Page{Generation: w.read.Generation, Counter: w.counter}
	for _, m := range w.journal {
		if m.ID.Compare(w.read.After) <= 0 {
			continue
		}
		if len(p.Entries) == w.read.Count {
			p.More = true
			break
		}
		p.Entries = append(p.Entries, m)
	}
	w.read = nil
	w.lane.Page(w, w.time(), p)
}

// answerAsPeer answers as a node does that heard everything up to the question.
func (w *world) answerAsPeer(q item) {
	a := &sequence.Answer{Generation: q.question.Generation, Complete: w.answers}
	known := func(number int) bool {
		if q.question.Known == (events.ID{}) {
			return w.times[number].Compare(q.question.Since) < 0
		}
		return uint64(number) < binary.BigEndian.Uint64(q.question.Known[:])
	}
	for number, how := range w.tiers[:q.asked] {
		if w.answers && !known(number) && how != counted {
			a.Events = append(a.Events, events.Event{ID: id(uint64(number)), Data: []byte("{}")})
		}
	}
	w.lane.Answer(w, w.time(), a)
}

// settle lets everything that is on its way arrive.
func (w *world) settle() {
	w.receive(len(w.wire))
	for turns := 0; w.lane.Repairing(); turns++ {
		if turns > 1000 {
			w.t.Fatal("a repair does not end")
		}
		w.ask()
		w.answer()
		w.receive(len(w.wire))
		w.now += time.Millisecond
	}
}

func (w *world) Deliver(ev *events.Event) {
	number := binary.BigEndian.Uint64(ev.ID[:]) - 1
	if w.seen[number] {
		w.t.Fatalf("event %d was delivered twice", number)
	}
	w.seen[number] = true
	w.delivered = append(w.delivered, number)
}

func (w *world) StateKey(*events.Event) (events.ID, bool)      { return events.ID{}, false }
func (w *world) Read(*events.Event)                            {}
func (w *world) Plain(*events.Event)                           {}
func (w *world) Duplicate(sequence.DuplicateKind)              {}
func (w *world) Overflow()                                     {}
func (w *world) Repaired(sequence.GapKind, int, time.Duration) {}

func (w *world) Lost(loss backplane.Loss) {
	w.losses[loss.Reason]++
	w.told = append(w.told, loss)
}

// steps takes random steps, with what a draw of the given weights chooses.
func (w *world) steps(t *rapid.T, faults ...func()) {
	actions := []func(){
		func() { w.publish(rapid.SampledFrom(w.mix).Draw(t, "tier")) },
		func() { w.publish(counted) },
		func() { w.publish(counted) },
		func() { w.receive(rapid.IntRange(1, 4).Draw(t, "messages")) },
		func() { w.receive(rapid.IntRange(1, 4).Draw(t, "messages")) },
		w.ask,
		w.answer,
		func() { w.wire = append(w.wire, item{canary: w.serverID(), sung: w.time()}) },
		func() { w.now += time.Duration(rapid.IntRange(1, 4000).Draw(t, "pause")) * time.Millisecond },
	}
	actions = append(actions, faults...)
	for range rapid.IntRange(1, 120).Draw(t, "steps") {
		actions[rapid.IntRange(0, len(actions)-1).Draw(t, "action")]()
		w.now += time.Millisecond
	}
	w.settle()
}

// A connection that breaks loses nothing that is journaled, whatever is under way, and keeps the order.
func TestLane_brokenConnection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		next := uint64(0)
		for _, number := range w.delivered {
			if w.tiers[number] == plain {
				continue
			}
			if number < next {
				t.Fatalf("event %d was delivered after %d", number, next-1)
			}
			next = number + 1
		}
		for number, how := range w.tiers {
			if !w.seen[uint64(number)] && how != plain {
				t.Fatalf("event %d is missing", number)
			}
		}
		if w.losses[backplane.LossFork]+w.losses[backplane.LossTrimmed] > 0 {
			t.Fatalf("losses were told that were none: %v", w.losses)
		}
	})
}

// Whatever is missing lies in a time that was told, also of publishers that were never heard before.
func TestLane_silentLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.lane.Watch = 24 * time.Hour
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		for number, at := range w.sent {
			covers := func(l backplane.Loss) bool { return !at.Before(l.From) && !at.After(l.To) }
			if !w.seen[uint64(number)] && !slices.ContainsFunc(w.told, covers) {
				t.Fatalf("event %d, published at %s, is missing; told %+v", number, at, w.told)
			}
		}
	})
}

// A lane that was watched for a while, and of which everything was counted, is believed to have no other events.
func TestLane_believedJournaled(t *testing.T) {
	for name, test := range map[string]struct {
		events  int
		watched time.Duration
		told    int
	}{
		"nothing was heard":     {0, time.Hour, 1},
		"few events were heard": {19, time.Hour, 1},
		"heard for a moment":    {100, 59 * time.Second, 1},
		"heard for a while":     {20, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			w.wire = append(w.wire, item{canary: w.serverID(), sung: w.time()})
			for range test.events {
				w.publish(counted)
			}
			w.receive(len(w.wire))
			w.now += test.watched
			w.publish(plain)
			w.breaks(0, false)
			w.settle()
			if len(w.told) != test.told {
				t.Errorf("told %+v", w.told)
			}
		})
	}
}

// Another node that heard everything makes good for events without a journal.
func TestLane_peers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.answers, w.mix = true, []tier{counted, plain}
		w.wire = append(w.wire, item{canary: w.serverID(), sung: w.time()})
		w.receive(1)
		w.steps(t, func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })
		for number := range w.tiers {
			if !w.seen[uint64(number)] {
				t.Fatalf("event %d is missing", number)
			}
		}
		if len(w.losses) > 0 {
			t.Fatalf("losses were told that were none: %v", w.losses)
		}
		next := map[bool]uint64{}
		for _, number := range w.delivered {
			isPlain := w.tiers[number] == plain
			if number < next[isPlain] {
				t.Fatalf("event %d was delivered after %d", number, next[isPlain]-1)
			}
			next[isPlain] = number + 1
		}
	})
}

// What is missing because Redis forgot it is told.
func TestLane_forgetfulRedis(t *testing.T) {
	for name, faults := range map[string]func(t *rapid.T, w *world) []func(){
		"failover": func(t *rapid.T, w *world) []func() { return []func(){w.drawFailover(t)} },
		"trim":     func(t *rapid.T, w *world) []func() { return []func(){w.drawTrim(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t)
				w.steps(t, append(faults(t, w), func() { w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), false) })...)
				missing := 0
				for number, how := range w.tiers {
					if !w.seen[uint64(number)] && how == counted && !w.gone[uint64(number)] {
						missing++
					}
				}
				told := w.losses[backplane.LossFork] + w.losses[backplane.LossTrimmed]
				if missing > 0 && told == 0 {
					t.Fatalf("%d events are missing and nothing was told", missing)
				}
				if !w.forgot && told > 0 {
					t.Fatalf("losses were told that were none: %v", w.losses)
				}
			})
		})
	}
}

func (w *world) drawFailover(t *rapid.T) func() {
	return func() {
		behind := time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "behind")) * time.Millisecond
		w.failover(rapid.IntRange(0, 5).Draw(t, "lost"), behind)
		w.breaks(rapid.IntRange(0, 3).Draw(t, "arrived"), true)
	}
}

func (w *world) drawTrim(t *rapid.T) func() {
	return func() { w.trim(rapid.IntRange(0, 3).Draw(t, "keep")) }
}
